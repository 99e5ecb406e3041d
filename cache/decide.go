package cache

import (
	"time"
	"weak"

	"github.com/irsakit/irsakit/internal/schedule"
	"github.com/irsakit/irsakit/internal/slots"
)

// reasons is the input of decide that is not part of the snapshot.
type reasons struct {
	pending
	idle    bool // the credentials have been unused for as long as Options.MaxIdleLifetimes allows
	started int  // number of attempts started so far

	// The earliest start of the next attempt:
	spacedUntil           schedule.Moment // if it was requested
	invalidateSpacedUntil schedule.Moment // after Invalidate
	retryServing          schedule.Moment // after a failure, while there are valid credentials
	retryEmpty            schedule.Moment // after a failure, otherwise
}

// pending contains the reasons recorded since the last attempt started.
type pending struct {
	demand    bool // a caller needs credentials
	requested bool // by Refresh, Replace, or a view whose minimum TTL is not met
	rejected  bool // the attempt replaces credentials that a service rejected
	woken     bool // Wake was called, which ends the backoff after a failure
}

// decision determines whether and when the next attempt starts.
type decision struct {
	start bool            // start it now
	timer bool            // set the timer to start it when it is due
	due   schedule.Moment // when a caller may start it
}

// decide determines whether the next attempt starts now, later, or when a caller needs it. No
// attempt may be running.
//
// Before the first attempt, after a failure without valid credentials, and while the credentials
// are idle, only a caller starts an attempt, because nothing else needs the result. Otherwise the
// timer does.
func decide(s *snapshot, r reasons, now schedule.Moment) decision {
	serving := s.serves(now, 0)
	due := dueAt(s, r, now, serving)
	start := due.Reached(now)
	unused := serving && r.idle && !r.requested && start
	if s.phase == closed || !r.demand && (r.started == 0 || !serving && s.failures > 0 || unused) {
		return decision{due: schedule.Never()} // until a caller needs credentials, unless the Cache is closed
	}
	return decision{start: start, timer: !start && due != schedule.Never(), due: due}
}

// dueAt returns when the next attempt may start.
func dueAt(s *snapshot, r reasons, now schedule.Moment, serving bool) schedule.Moment {
	switch {
	case s.failures > 0:
		due := r.retryEmpty
		if serving {
			due = r.retryServing
		}
		if r.woken {
			due = schedule.Earlier(due, r.spacedUntil)
		}
		return due
	case r.requested:
		return r.spacedUntil
	case s.repeated, serving:
		return s.refreshAt
	case s.phase == withdrawn:
		return r.invalidateSpacedUntil
	default: // there are no credentials, or they have expired
		return now
	}
}

// scheduler contains the state that determines the next attempt. It is guarded by Cache.mu.
type scheduler struct {
	reasons
	attempt         *attempt         // the running attempt, or nil
	completed       int              // number of the last attempt whose result is known
	lastReplace     schedule.Moment  // when Replace last started an attempt; initially Never
	withdrawn       []string         // access key IDs that must not be served again, newest last
	unusedLifetimes int              // number of consecutive unused lifetimes before the current one
	minTTLs         schedule.MinTTLs // minimum TTLs of the views

	timer   *time.Timer
	changed chan struct{} // closed when the state changes
}

// advance starts the next attempt, or sets the timer for it. No other function does either, so advance
// must be called after every change that can affect decide. If caller is non-nil, it is the ticket of the
// attempt whose source is calling this Cache, and a new attempt uses its slot. c.mu must be held.
func (c *Cache) advance(caller *slots.Ticket) {
	if c.scheduler.attempt != nil {
		return // advance is called again when it completes
	}
	now := c.now()
	d := decide(c.state.Load(), c.scheduler.reasons, now)
	switch {
	case d.start:
		c.start(now, caller)
		return
	case d.timer:
		c.setTimer(d.due.Until(now))
	default:
		c.scheduler.stopTimer()
	}
	c.storeDue(d.due)
}

// setTimer schedules a call to advance after d. The timer does not keep the Cache alive.
func (c *Cache) setTimer(d time.Duration) {
	if c.scheduler.timer != nil {
		c.scheduler.timer.Reset(d)
		return
	}
	cache := weak.Make(c)
	c.scheduler.timer = time.AfterFunc(d, func() {
		if c := cache.Value(); c != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.advance(nil)
		}
	})
}

func (sched *scheduler) stopTimer() {
	if sched.timer != nil {
		sched.timer.Stop()
	}
}

// changes returns a channel that is closed at the next change.
func (sched *scheduler) changes() <-chan struct{} {
	if sched.changed == nil {
		sched.changed = make(chan struct{})
	}
	return sched.changed
}

// broadcast wakes all goroutines waiting for a change.
func (sched *scheduler) broadcast() {
	if sched.changed != nil {
		close(sched.changed)
		sched.changed = nil
	}
}

// startLifetime counts unused lifetimes when new credentials arrive. To keep Retrieve on the fast
// path, only its first call in each lifetime records that the credentials are in use. c.mu must be
// held.
func (c *Cache) startLifetime(next *snapshot) {
	if c.state.Load().unused {
		c.scheduler.unusedLifetimes++
	} else {
		c.scheduler.unusedLifetimes = 0
	}
	next.unused = c.opts.MaxIdleLifetimes > 0
	c.scheduler.idle = next.unused && c.scheduler.unusedLifetimes >= c.opts.MaxIdleLifetimes-1
}

// use records that the credentials in s are in use, and starts an attempt if one is due. It returns a
// state with the same credentials. c.mu must be held.
func (c *Cache) use(s *snapshot) *snapshot {
	if s.unused {
		next := *s
		next.unused, c.scheduler.idle = false, false
		c.store(&next)
		s = &next
	}
	c.advance(nil)
	return s
}
