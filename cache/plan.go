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

	use    use
	placed bool // the caller of the moment has a place of the Limiter's, and waits in it

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

// advanceLocked is the one place where an attempt begins, or the timer for it is
// set. It is called after everything that could change the answer.
func (c *Cache) advanceLocked() {
	s := c.state.Load()
	if s.closed || c.plan.call != nil { // the end of the call comes here again
		return
	}
	now := c.now()
	serving := s.serves(now, 0)
	due := c.plan.due(s, serving)
	switch {
	case !serving && s.failures > 0 && !c.plan.demand, c.plan.begun == 0 && !c.plan.demand:
		c.plan.rest() // nobody would notice: the next caller comes here again
		due = schedule.Never()
	case due.Reached(now) && serving && c.idle():
		c.plan.rest() // the next caller comes here again, since it is due
	case due.Reached(now):
		c.begin(now)
		return
	case due != schedule.Never():
		c.setTimer(due.Elapsed - now.Elapsed)
	}
	if s.due != due {
		c.store(s.waits(due))
	}
}

// due returns the moment from which the next attempt may begin.
func (p *plan) due(s *snapshot, serving bool) schedule.Moment {
	switch {
	case s.failures > 0:
		due := p.past().retry.empty
		if serving {
			due = p.past().retry.serving
		}
		if p.woken {
			due = schedule.Earlier(due, p.spaced)
		}
		return due
	case p.asked:
		return p.spaced
	case s.cached: // by the source, which renews them when it does
		return s.refreshAt
	case serving:
		return s.refreshAt
	case s.err != nil: // a service refused the credentials
		return p.past().refusable
	default:
		return schedule.Moment{} // now: there are none, or they have ended
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

// rest stops the timer.
func (p *plan) rest() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// stop ends all that the plan has under way.
func (p *plan) stop() {
	p.rest()
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
