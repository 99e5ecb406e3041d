package cache

import (
	"math/rand/v2"
	"slices"
	"time"
	"weak"

	"github.com/irsakit/irsakit/internal/schedule"
)

// plan is what decides when the next attempt begins. The Cache's mutex guards it.
type plan struct {
	call  *call // the source's call under way
	begun int   // attempts begun so far
	ended int   // the newest attempt whose outcome is known

	use use
	// Reasons to make an attempt, other than that its time has come.
	demand bool // somebody came since the newest attempt began
	asked  bool // Refresh, or a MinTTL view that has less left, wants another attempt
	woken  bool // Wake wants one if the last one failed

	rejected bool // the next attempt replaces credentials that a service rejected

	spaced  schedule.Moment // an attempt that is asked for begins no sooner
	trouble *trouble        // what few Caches have
	minTTLs minTTLs         // what views need to be left

	timer   *time.Timer
	changed chan struct{} // closed when anything changed that callers wait for
}

// trouble is what a Cache remembers of failures and refusals.
type trouble struct {
	retry     retryAt         // after a failure
	refusable schedule.Moment // an attempt after Invalidate begins no sooner
	replaced  schedule.Moment // when Replace last started an attempt
	withdrawn []string        // access key IDs that are not served again, the newest last
}

// maxWithdrawn bounds the withdrawn keys that are remembered.
const maxWithdrawn = 16

func (t *trouble) withdraw(key string) {
	t.withdrawn = append(t.withdrawn, key)
	if len(t.withdrawn) > maxWithdrawn {
		t.withdrawn = slices.Delete(t.withdrawn, 0, len(t.withdrawn)-maxWithdrawn)
	}
}

// troubles returns the trouble, to change it.
func (p *plan) troubles() *trouble {
	if p.trouble == nil {
		p.trouble = &trouble{}
	}
	return p.trouble
}

// past returns the trouble, to look at it.
func (p *plan) past() trouble {
	if p.trouble == nil {
		return trouble{}
	}
	return *p.trouble
}

// retryAt is when to try again, by what there is to serve at the time.
type retryAt struct {
	serving, empty schedule.Moment
}

// advance begins the next attempt if it is due.
func (c *Cache) advance() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advanceLocked()
}

// advanceLocked applies the decision about the next attempt. It is called after everything that
// could change it, and is the only place where an attempt starts or the timer is set. c.mu is held.
func (c *Cache) advanceLocked() { c.advanceFor(false) }

// advanceFor is advanceLocked for a caller. holdsSlot reports whether it is the source of another
// Cache and holds a slot of the Limiter: an attempt that starts for it reuses that slot.
func (c *Cache) advanceFor(holdsSlot bool) {
	s, now := c.state.Load(), c.now()
	if s.closed || c.plan.call != nil { // the end of the call comes here again
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
		c.plan.stopTimer()
	}
	if s.due != d.due {
		c.store(s.waits(d.due))
	}
}

// setTimer makes the Cache advance after d. The timer does not hold the Cache.
func (c *Cache) setTimer(d time.Duration) {
	if c.plan.timer != nil {
		c.plan.timer.Reset(d)
		return
	}
	cache := weak.Make(c)
	c.plan.timer = time.AfterFunc(d, func() {
		if c := cache.Value(); c != nil {
			c.advance()
		}
	})
}

// stopTimer stops the timer.
func (p *plan) stopTimer() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// stop ends all that the plan has under way.
func (p *plan) stop() {
	p.stopTimer()
	if p.call != nil && p.call.cancel != nil {
		p.call.cancel()
	}
	p.announce()
}

// changes returns a channel that is closed at the next change.
func (p *plan) changes() <-chan struct{} {
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

// announce wakes all who wait for a change.
func (p *plan) announce() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// failed sets the waits after the failure that led to s. The source asks for a wait of asked.
func (p *plan) failed(s *snapshot, asked time.Duration, now schedule.Moment) {
	wait := schedule.RetryAfter(s.failures, s.left(now), s.permanent, asked, rand.Float64())
	p.troubles().retry = retryAt{serving: now.Add(wait.Serving), empty: now.Add(wait.Empty)}
}
