package cache

import (
	"time"

	"github.com/irsakit/irsakit/internal/schedule"
)

// State is what a [Cache] has to serve.
type State string

// The states of a Cache. The zero value of State is none of them.
const (
	Empty   State = "empty"   // there never were credentials: callers wait
	Fresh   State = "fresh"   // valid, and not yet time to refresh
	Stale   State = "stale"   // valid, and time to refresh: that is under way, or has failed
	Expired State = "expired" // no longer valid: callers wait
	Closed  State = "closed"
)

// Status is how a [Cache] is doing at one moment. It holds no secret. Times are on
// the local wall clock, zero where there is none.
type Status struct {
	State       State
	Expires     time.Time // until when the credentials are served; zero too where they do not expire
	RefreshAt   time.Time // when they are refreshed if all goes well
	LastSuccess time.Time // when the newest credentials came
	Failures    int       // attempts that have failed since
	Err         error     // of the last attempt; nil if it succeeded
	NextAttempt time.Time // zero while one is under way, or if the next caller begins it

	// What callers of Retrieve, the Cache's and its views', have met so far.
	Waits  int64         // those who had to wait for credentials
	Waited time.Duration // all of them together
	Errors int64         // those who got an error because there were none in time
}

// Status returns how the Cache is doing. It takes no lock and does not block.
func (c *Cache) Status() Status {
	return c.status(c.state.Load(), c.now())
}

func (c *Cache) status(s *snapshot, now schedule.Moment) Status {
	return Status{
		State:       s.is(now),
		Expires:     s.until.Time(),
		RefreshAt:   s.refreshAt.Time(),
		LastSuccess: s.received.Time(),
		Failures:    s.failures,
		Err:         s.err,
		NextAttempt: s.due.Time(),
		Waits:       c.callers.waits.Load(),
		Waited:      time.Duration(c.callers.waited.Load()),
		Errors:      c.callers.errors.Load(),
	}
}

func (s *snapshot) is(now schedule.Moment) State {
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
