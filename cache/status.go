package cache

import (
	"errors"
	"fmt"
	"time"

	"github.com/irsakit/irsakit/internal/schedule"
)

// State is the state of the credentials of a [Cache], such as [Fresh] or [Expired].
type State string

// States of a Cache. The zero State is not valid.
const (
	Empty   State = "empty"   // no credentials obtained yet: callers wait
	Fresh   State = "fresh"   // valid, and not yet due for a refresh
	Stale   State = "stale"   // valid, and due for a refresh that is running, has failed, or waits for a caller
	Expired State = "expired" // expired or withdrawn: callers wait
	Closed  State = "closed"
)

// Status is a snapshot of the state of a [Cache]. It contains no secrets. Times are on the local wall
// clock, and zero if unknown.
type Status struct {
	State       State
	Expires     time.Time // end of serving; also zero if the credentials never expire
	RefreshAt   time.Time // the scheduled refresh
	LastSuccess time.Time // when the last credentials were received
	Failures    int       // number of consecutive failed attempts
	Err         error     // error of the last attempt, or ErrRejected; nil if it succeeded
	NextAttempt time.Time // zero if an attempt is running, or if the next caller starts it

	// Cumulative counts of Retrieve callers, including callers of views.
	WaitCount    int64         // number of callers that waited for credentials
	WaitDuration time.Duration // total time that callers waited
	ErrorCount   int64         // number of callers that got an error because there were no valid credentials in time
}

// Status returns the current status. It does not acquire a lock or block.
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
// it returns an error, which wraps s.Err if that is non-nil. s.State distinguishes the cases:
//   - [Empty] if no credentials have been obtained yet
//   - [Stale] if refresh is failing; the credentials are still served, until s.Expires
//   - [Expired] if the credentials have expired or were withdrawn
//   - [Closed] if the Cache is closed; the error is [ErrClosed]
//
// A readiness probe must call Retrieve, with a short timeout, before Healthy. Without valid
// credentials, attempts start only for callers, plus one after the last caller got its error, and a
// failing probe keeps callers away. The probe may treat Stale as ready, because callers are not
// affected yet. Do not use Healthy in a liveness probe, because a restart does not fix any of these
// errors and discards credentials that are still valid.
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

	// ErrRejected is returned if a service rejected the credentials or the application withdrew them,
	// until new credentials are obtained. See [Cache.Replace] and [Cache.Invalidate].
	ErrRejected = errors.New("cache: credentials rejected")

	// ErrMinTTL is returned if the source has no credentials that last long enough for a view. See
	// [Cache.MinTTL].
	ErrMinTTL = errors.New("cache: credential lifetime too short for MinTTL")
)

// Error is returned if there are no valid credentials. It contains the cause and the time of the
// next attempt. All callers get the same Error until the next attempt, so it must not be modified.
type Error struct {
	Err         error     // error of the last attempt, or ErrRejected
	Failures    int       // number of consecutive failed attempts
	NextAttempt time.Time // zero if an attempt is running or the next caller starts it
}

// Error returns a message with the last attempt's error. It omits the other fields, so that the
// message stays the same while attempts fail for the same reason, and callers can compare it or
// store it in a status.
func (e *Error) Error() string { return fmt.Sprintf("cache: no new credentials: %v", e.Err) }

// Unwrap returns the error of the last attempt.
func (e *Error) Unwrap() error { return e.Err }

// RetryableError returns false. The SDK's service clients therefore do not retry a request that has no
// credentials: the Cache retries, with a backoff of its own.
func (e *Error) RetryableError() bool { return false }

// problem returns the error of the last attempt if it failed, or otherwise the reason there are no
// credentials. It returns nil if there are credentials, and before the first attempt.
func (s *snapshot) problem() error {
	if s.failure != nil {
		return s.failure.Err
	}
	return s.callerError()
}

// callerError returns the error that callers get in this state, or nil.
func (s *snapshot) callerError() error {
	if s.phase == closed {
		return ErrClosed
	}
	if s.failure != nil { // a nil *Error would be a non-nil error
		return s.failure
	}
	return nil
}

func errPanic(r any) error {
	if err, ok := r.(error); ok {
		return fmt.Errorf("cache: the source panicked: %w", err)
	}
	return fmt.Errorf("cache: the source panicked: %v", r)
}

// errShortLifetime returns the error for credentials with a lifetime below schedule.MinLifetime. It
// omits the lifetime, which differs between attempts.
func errShortLifetime(lifetime time.Duration) error {
	if lifetime <= 0 {
		return errors.New("cache: the source returned expired credentials: check the clocks")
	}
	return fmt.Errorf("cache: the source returned credentials with a lifetime of less than %v", schedule.MinLifetime)
}
