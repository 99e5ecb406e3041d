package cache

import "github.com/irsakit/irsakit/internal/schedule"

// reasons are the reasons for an attempt, other than the state of the credentials.
type reasons struct {
	first  bool // no attempt has started yet
	demand bool // a caller came since the newest attempt started
	asked  bool // Refresh, Replace, or a view that has less left, wants an attempt
	woken  bool // Wake wants one if the last one failed
	idle   bool // the credentials have not been used for as long as Options.IdleLives allows

	spaced   schedule.Moment // an attempt that was asked for starts no sooner
	replaced schedule.Moment // an attempt after Invalidate starts no sooner
	retry    retryAt         // an attempt after a failure starts no sooner
}

// decision is about the next attempt.
type decision struct {
	start bool            // it starts now
	timer bool            // the timer starts it when it is due
	due   schedule.Moment // from here on a caller starts it
}

// decide returns the decision for a Cache that is not closed and has no attempt under way.
//
// With credentials to serve, the timer starts attempts without callers. With nothing to serve,
// attempts that nobody waits for would not help anybody, so a caller starts the next one.
func decide(s *snapshot, r reasons, now schedule.Moment) decision {
	serving := s.serves(now, 0)
	due := dueAt(s, r, serving)
	switch {
	case r.first && !r.demand, !serving && s.failures > 0 && !r.demand:
		return decision{due: schedule.Never()} // the next caller is a new reason
	case due.Reached(now) && serving && r.idle:
		return decision{due: due}
	case due.Reached(now):
		return decision{start: true, due: due}
	default:
		return decision{timer: due != schedule.Never(), due: due}
	}
}

// dueAt returns the moment from which the next attempt may start.
func dueAt(s *snapshot, r reasons, serving bool) schedule.Moment {
	switch {
	case s.failures > 0:
		due := r.retry.empty
		if serving {
			due = r.retry.serving
		}
		if r.woken {
			due = schedule.Earlier(due, r.spaced)
		}
		return due
	case r.asked:
		return r.spaced
	case s.cached, serving:
		return s.refreshAt
	case s.err != nil: // the credentials were withdrawn
		return r.replaced
	default:
		return schedule.Moment{} // now: there are none, or they have expired
	}
}

// reasons returns the reasons of the moment. c.mu is held.
func (c *Cache) reasons() reasons {
	p, past := &c.plan, c.plan.past()
	return reasons{
		first: p.begun == 0, demand: p.demand, asked: p.asked, woken: p.woken, idle: c.idle(),
		spaced: p.spaced, replaced: past.refusable, retry: past.retry,
	}
}
