package cache

import "github.com/irsakit/irsakit/internal/schedule"

// reasons are the reasons for an attempt, except the state of the credentials.
type reasons struct {
	first     bool // no attempt has started yet
	demand    bool // a caller has come since the last attempt started
	requested bool // Refresh, Replace or a view with too little time left requests an attempt
	woken     bool // Wake requests one if the last one failed
	idle      bool // the credentials have been unused for as long as Options.MaxIdleLifetimes allows

	spacedUntil           schedule.Moment // a requested attempt starts no sooner
	invalidateSpacedUntil schedule.Moment // an attempt after Invalidate starts no sooner
	retry                 retryTimes      // an attempt after a failure starts no sooner
}

// decision is the decision about the next attempt.
type decision struct {
	start bool            // start it now
	timer bool            // set the timer to start it when it is due
	due   schedule.Moment // from then on a caller starts it
}

// decide returns the decision for a Cache that is open and has no running attempt.
//
// While there are valid credentials, the timer starts attempts without a caller. Otherwise only a
// caller starts the next attempt: without one, its result would not be needed.
func decide(s *snapshot, r reasons, now schedule.Moment) decision {
	serving := s.serves(now, 0)
	due := dueAt(s, r, serving)
	switch {
	case r.first && !r.demand, !serving && s.failures > 0 && !r.demand:
		return decision{due: schedule.Never()} // until a caller adds demand
	case due.Reached(now) && serving && r.idle:
		return decision{due: due}
	case due.Reached(now):
		return decision{start: true, due: due}
	default:
		return decision{timer: due != schedule.Never(), due: due}
	}
}

// dueAt returns when the next attempt may start.
func dueAt(s *snapshot, r reasons, serving bool) schedule.Moment {
	switch {
	case s.failures > 0:
		due := r.retry.empty
		if serving {
			due = r.retry.serving
		}
		if r.woken {
			due = schedule.Earlier(due, r.spacedUntil)
		}
		return due
	case r.requested:
		return r.spacedUntil
	case s.repeated, serving:
		return s.refreshAt
	case s.err != nil: // the credentials were withdrawn
		return r.invalidateSpacedUntil
	default:
		return schedule.Moment{} // now: there are no credentials, or they have expired
	}
}

// reasons returns the current reasons. c.mu is held.
func (c *Cache) reasons() reasons {
	sched, history := &c.scheduler, c.scheduler.readHistory()
	return reasons{
		first: sched.started == 0, demand: sched.demand, requested: sched.requested, woken: sched.woken, idle: c.idle(),
		spacedUntil: sched.spacedUntil, invalidateSpacedUntil: history.invalidateSpacedUntil, retry: history.retry,
	}
}
