package cache

import (
	"context"

	"github.com/irsakit/irsakit/internal/slots"
)

// Limiter bounds how many attempts of several Caches run at the same time: see [Options]. Each
// attempt needs a slot. Attempts with waiting callers acquire a slot before background refreshes,
// otherwise in first-in, first-out order. Attempts of Caches whose last attempt failed hold at most
// half of the slots, but at least one, so that they cannot block healthy Caches. An attempt whose
// source does not return in time is abandoned and releases its slot: see Options.AttemptTimeout.
//
// Background refreshes of credentials with a lifetime of a minute or more start up to a second
// early, in batches once a second. A process that wakes up once for a batch uses less CPU time than
// one that wakes up for each refresh.
//
// A throttled attempt slows down all Caches: the number of slots is halved, at most once a second
// and down to one. Each success restores a part of a slot, and so does every error of a service
// that is not throttling.
//
// Use [NewLimiter] to create a Limiter. It is safe for concurrent use.
type Limiter struct{ slots *slots.Pool }

// NewLimiter returns a Limiter with the given number of slots, from 1 to 1,000,000.
func NewLimiter(n int) *Limiter { return &Limiter{slots.New(n)} }

// LimiterStatus is the status of a [Limiter] at one moment.
type LimiterStatus struct {
	Running int // running attempts, except abandoned ones
	Waiting int // attempts that wait for a slot
	Slots   int // current number of slots; reduced while sources are throttled
}

// Status returns the current status. It does not block for long.
func (l *Limiter) Status() (s LimiterStatus) {
	s.Running, s.Waiting, s.Slots = l.slots.Status()
	return s
}

// slotKey is the context key for the pool in whose slot an attempt runs.
type slotKey struct{}

// holdsSlot reports whether ctx is that of an attempt that holds a slot of the Cache's Limiter. Its
// source then calls this Cache. The attempt of this Cache reuses the slot, because waiting for a
// second one could deadlock. The context of an abandoned attempt, which holds no slot, has ended.
func (c *Cache) holdsSlot(ctx context.Context) bool {
	return c.slots != nil && ctx.Value(slotKey{}) == c.slots && ctx.Err() == nil
}

// demand advances for a caller. If the caller waits for an attempt that waits for its slot, the attempt
// is promoted. If that caller holds a slot already, the attempt starts immediately. c.mu is held.
func (c *Cache) demand(holdsSlot, waits bool) {
	c.scheduler.demand = true
	c.advance(holdsSlot)
	a := c.scheduler.attempt
	switch {
	case !waits || a == nil || a.progress != queued:
		return
	case !holdsSlot:
		c.slots.Promote(a.ticket)
	case c.slots.Cancel(a.ticket):
		a.ticket.Nested = true
		a.began = c.now()
		c.run(a)
	}
}
