package cache

import (
	"math/rand/v2"
	"slices"
	"time"
	"weak"

	"github.com/irsakit/irsakit/internal/schedule"
)

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
