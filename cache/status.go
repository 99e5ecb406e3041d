package cache

import (
	"errors"
	"fmt"
	"time"

	"github.com/irsakit/irsakit/internal/schedule"
)

// State describes which credentials a [Cache] serves.
type State string

// States of a Cache. The zero State is not valid.
const (
	Empty   State = "empty"   // no credentials obtained yet: callers wait
	Fresh   State = "fresh"   // valid, and not yet due for a refresh
	Stale   State = "stale"   // valid, and due for a refresh, which is running or has failed
	Expired State = "expired" // expired or withdrawn: callers wait
	Closed  State = "closed"
)

// Status describes a [Cache] at one moment. It contains no secret. Times are on the local wall
// clock, and zero if unknown.
type Status struct {
	State       State
	Expires     time.Time // end of serving; zero also if the credentials do not expire
	RefreshAt   time.Time // the scheduled refresh
	LastSuccess time.Time // when the last credentials were received
	Failures    int       // number of consecutive failed attempts
	Err         error     // error of the last attempt, or ErrRejected; nil if it succeeded
	NextAttempt time.Time // zero if an attempt is running, or if the next caller starts it

	// Totals of the callers of Retrieve, including those of views.
	WaitCount    int64         // number of callers that waited for credentials
	WaitDuration time.Duration // total time that they waited
	ErrorCount   int64         // number of callers that got an error because there were no valid credentials in time
}

// Status returns the current status. It acquires no lock and does not block.
func (c *Cache) Status() Status { return c.status(c.state.Load(), c.now()) }

func (c *Cache) status(s *snapshot, now schedule.Moment) Status {
	return Status{
		State:        s.stateAt(now),
		Expires:      s.until.Time(),
		RefreshAt:    s.refreshAt.Time(),
		LastSuccess:  s.received.Time(),
		Failures:     s.failures,
		Err:          s.problem(),
		NextAttempt:  s.due.Time(),
		WaitCount:    c.waitCount.Load(),
		WaitDuration: time.Duration(c.waitDuration.Load()),
		ErrorCount:   c.errorCount.Load(),
	}
}

func (s *snapshot) stateAt(now schedule.Moment) State {
	switch {
	case s.phase == closed:
		return Closed
	case s.phase == empty:
		return Empty
	case !s.serves(now, 0):
		return Expired
	case s.failures > 0 || s.refreshAt.Reached(now):
		return Stale
	default:
		return Fresh
	}
}

// Healthy returns nil if there are valid credentials and the last attempt did not fail. Otherwise
// it returns an error that wraps s.Err, if that is set. s.State distinguishes the cases:
//   - [Empty] if no credentials have been obtained yet
//   - [Stale] if refresh is failing; the credentials are still served, until s.Expires
//   - [Expired] if the credentials have expired or were withdrawn
//   - [Closed] if the Cache is closed; the error is [ErrClosed]
//
// Without valid credentials, only a caller starts the attempt after a failed one. A failing
// readiness probe keeps callers away, so the probe itself must call Retrieve, with a short
// timeout, before Healthy. It may treat Stale as ready, because callers are not affected yet. A
// liveness probe should not use Healthy: a restart repairs none of these errors, and discards
// credentials that are still valid.
func (s Status) Healthy() error {
	reason := "cache: refresh is failing"
	switch {
	case s.State == Closed:
		return ErrClosed
	case s.State == Empty:
		reason = "cache: no credentials obtained yet"
	case s.State == Expired:
		reason = "cache: no valid credentials"
	case s.Err == nil:
		return nil
	}
	if s.Err == nil {
		return errors.New(reason)
	}
	return fmt.Errorf("%s: %w", reason, s.Err)
}

var (
	// ErrClosed is returned by the methods of a closed Cache.
	ErrClosed = errors.New("cache: closed")

	// ErrRejected is returned if a service rejected the credentials, or the application withdrew
	// them, and no new ones have been obtained yet. See [Cache.Replace] and [Cache.Invalidate].
	ErrRejected = errors.New("cache: credentials rejected")

	// ErrMinTTL is returned if credentials do not live long enough for a view, and the source has no
	// others.
	ErrMinTTL = errors.New("cache: credential lifetime too short for MinTTL")
)

// Error is returned if there are no valid credentials. It contains the cause and the time of the
// next attempt. All callers get the same Error until the next attempt, so it must not be changed.
type Error struct {
	Err         error     // error of the last attempt
	Failures    int       // number of consecutive failed attempts
	NextAttempt time.Time // zero if an attempt is running or the next caller starts it
}

// Error returns the text of the last attempt's error. It is the same for the same cause, so that
// callers can compare it or write it to a status.
func (e *Error) Error() string { return fmt.Sprintf("cache: no new credentials: %v", e.Err) }

// Unwrap returns the error of the last attempt.
func (e *Error) Unwrap() error { return e.Err }

// problem returns the error of the last attempt if it failed, or otherwise the reason why there are
// no credentials. It returns nil if there are credentials, and before the first attempt.
func (s *snapshot) problem() error {
	if s.failure != nil {
		return s.failure.Err
	}
	return s.callerError()
}

// callerError returns the error of the state for a caller, or nil if there is none.
func (s *snapshot) callerError() error {
	switch {
	case s.phase == closed:
		return ErrClosed
	case s.failure != nil:
		return s.failure
	default:
		return nil
	}
}

func errPanic(r any) error {
	if err, ok := r.(error); ok {
		return fmt.Errorf("cache: the source panicked: %w", err)
	}
	return fmt.Errorf("cache: the source panicked: %v", r)
}

// errShortLifetime returns the error for credentials with a lifetime below schedule.MinLifetime. It does not
// contain the lifetime, which differs between attempts.
func errShortLifetime(lifetime time.Duration) error {
	if lifetime <= 0 {
		return errors.New("cache: the source returned expired credentials: check the clocks")
	}
	return fmt.Errorf("cache: the source returned credentials with a lifetime of less than %v", schedule.MinLifetime)
}
