package cache

import (
	"math/rand/v2"
	"slices"
	"time"
	"weak"

	"github.com/irsakit/irsakit/internal/schedule"
)

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

// scheduler contains the state from which the next attempt is decided. Cache.mu guards it.
type scheduler struct {
	attempt   *attempt // the running attempt
	started   int      // number of attempts started so far
	completed int      // number of the last attempt whose outcome is known

	usage usage
	// Reasons for an attempt, other than that it is due.
	demand    bool // a caller has come since the last attempt started
	requested bool // Refresh, Replace or a view with too little time left requests an attempt
	woken     bool // Wake requests one if the last one failed

	rejected bool // the next attempt replaces credentials that a service rejected

	spacedUntil schedule.Moment // a requested attempt starts no sooner
	history     *history        // allocated on first use, since few Caches need it
	minTTLs     minTTLs         // minimum TTLs of the views

	timer   *time.Timer
	changed chan struct{} // closed when the state has changed
}

// history records failures and rejections.
type history struct {
	retry                 retryTimes      // after a failure
	invalidateSpacedUntil schedule.Moment // an attempt after Invalidate starts no sooner
	lastReplace           schedule.Moment // when Replace last started an attempt
	withdrawn             []string        // access key IDs that must not be served again, the newest last
}

// maxWithdrawn is how many withdrawn access key IDs are remembered.
const maxWithdrawn = 16

func (h *history) withdraw(key string) {
	h.withdrawn = append(h.withdrawn, key)
	if len(h.withdrawn) > maxWithdrawn {
		h.withdrawn = slices.Delete(h.withdrawn, 0, len(h.withdrawn)-maxWithdrawn)
	}
}

// ensureHistory returns the history for changes, and allocates it if needed.
func (sched *scheduler) ensureHistory() *history {
	if sched.history == nil {
		sched.history = &history{}
	}
	return sched.history
}

// readHistory returns a copy of the history.
func (sched *scheduler) readHistory() history {
	if sched.history == nil {
		return history{}
	}
	return *sched.history
}

// retryTimes contains when to retry, with and without valid credentials at that time.
type retryTimes struct {
	serving, empty schedule.Moment
}

// advance starts the next attempt if it is due.
func (c *Cache) advance() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advanceLocked()
}

// advanceLocked applies the decision about the next attempt. It must be called after every change
// that can affect the decision. It is the only place that starts an attempt or sets the timer. c.mu
// is held.
func (c *Cache) advanceLocked() { c.advanceFor(false) }

// advanceFor is advanceLocked for a caller. holdsSlot reports whether the caller is the source of
// another Cache and holds a slot of the Limiter. An attempt that starts for it reuses that slot.
func (c *Cache) advanceFor(holdsSlot bool) {
	s, now := c.state.Load(), c.now()
	if s.closed || c.scheduler.attempt != nil { // called again when it completes
		return
	}
	d := decide(s, c.reasons(), now)
	switch {
	case d.start:
		c.start(now, holdsSlot)
		return
	case d.timer:
		c.setTimer(d.due.Elapsed - now.Elapsed)
	default:
		c.scheduler.stopTimer()
	}
	if s.due != d.due {
		c.store(s.withDue(d.due))
	}
}

// setTimer sets the timer to advance after d. The timer does not keep the Cache alive.
func (c *Cache) setTimer(d time.Duration) {
	if c.scheduler.timer != nil {
		c.scheduler.timer.Reset(d)
		return
	}
	cache := weak.Make(c)
	c.scheduler.timer = time.AfterFunc(d, func() {
		if c := cache.Value(); c != nil {
			c.advance()
		}
	})
}

// stopTimer stops the timer.
func (sched *scheduler) stopTimer() {
	if sched.timer != nil {
		sched.timer.Stop()
	}
}

// stop stops the timer, cancels the running attempt, and wakes waiting callers.
func (sched *scheduler) stop() {
	sched.stopTimer()
	if sched.attempt != nil && sched.attempt.cancel != nil {
		sched.attempt.cancel()
	}
	sched.broadcast()
}

// changes returns a channel that is closed at the next change.
func (sched *scheduler) changes() <-chan struct{} {
	if sched.changed == nil {
		sched.changed = make(chan struct{})
	}
	return sched.changed
}

// broadcast wakes all goroutines that wait for a change.
func (sched *scheduler) broadcast() {
	if sched.changed != nil {
		close(sched.changed)
		sched.changed = nil
	}
}

// setRetryTimes sets the retry times after the failure that led to s. requested is the wait that
// the source requests.
func (sched *scheduler) setRetryTimes(s *snapshot, requested time.Duration, now schedule.Moment) {
	wait := schedule.RetryAfter(s.failures, s.remaining(now), s.permanent, requested, rand.Float64())
	sched.ensureHistory().retry = retryTimes{serving: now.Add(wait.Serving), empty: now.Add(wait.Empty)}
}

// usage records whether the credentials are used, if Options.MaxIdleLifetimes is set. Only the first
// Retrieve of each lifetime has to leave the fast path for that.
type usage struct {
	current       bool // in the current lifetime
	idleLifetimes int  // number of consecutive unused lifetimes before it
}

// startLifetime starts a new lifetime. c.mu is held.
func (c *Cache) startLifetime(next *snapshot) {
	if c.opts.MaxIdleLifetimes <= 0 {
		return
	}
	switch {
	case c.scheduler.usage.current:
		c.scheduler.usage.idleLifetimes = 0
	case c.state.Load().lifetime > 0:
		c.scheduler.usage.idleLifetimes++
	}
	c.scheduler.usage.current = false
	next.firstUse = true
}

// recordUse records that the credentials are used. c.mu is held.
func (c *Cache) recordUse(s *snapshot) *snapshot {
	if !s.firstUse {
		return s
	}
	c.scheduler.usage.current = true
	next := *s
	next.firstUse = false
	c.store(&next)
	return &next
}

// idle reports whether the credentials have been unused for too long to be refreshed.
func (c *Cache) idle() bool {
	return c.opts.MaxIdleLifetimes > 0 && !c.scheduler.usage.current && c.scheduler.usage.idleLifetimes >= c.opts.MaxIdleLifetimes-1 && !c.scheduler.demand && !c.scheduler.requested
}
