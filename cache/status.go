package cache

import (
	"time"

	"github.com/irsakit/irsakit/internal/schedule"
)

// State describes which credentials a [Cache] serves.
type State string

// States of a Cache. None of them is the zero value of State.
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
func (c *Cache) Status() Status {
	return c.status(c.state.Load(), c.now())
}

func (c *Cache) status(s *snapshot, now schedule.Moment) Status {
	return Status{
		State:        s.stateAt(now),
		Expires:      s.until.Time(),
		RefreshAt:    s.refreshAt.Time(),
		LastSuccess:  s.received.Time(),
		Failures:     s.failures,
		Err:          s.err,
		NextAttempt:  s.due.Time(),
		WaitCount:    c.callers.waits.Load(),
		WaitDuration: time.Duration(c.callers.waited.Load()),
		ErrorCount:   c.callers.errors.Load(),
	}
}

func (s *snapshot) stateAt(now schedule.Moment) State {
	switch {
	case s.closed:
		return Closed
	case s.received == (schedule.Moment{}):
		return Empty
	case !s.serves(now, 0):
		return Expired
	case s.failures > 0 || s.refreshAt.Reached(now):
		return Stale
	default:
		return Fresh
	}
}
