package cache

import (
	"context"

	"github.com/irsakit/irsakit/internal/slots"
)

// Limiter bounds the number of concurrent attempts across Caches, and is fair between their tenants
// (see [Options]). Each attempt acquires a slot before it calls the source, and releases it when
// the source returns or the attempt is abandoned (see Options.AttemptTimeout). If the source calls
// another Cache with the same Limiter, both attempts share one slot until both have released it.
//
// Attempts that callers are waiting for acquire slots before background refreshes, and in both
// groups, Caches whose last attempt failed come last. Among attempts of equal priority, tenants
// take turns: the tenant that started an attempt least recently goes first. A new tenant goes
// before the tenant that started the last attempt, but after those that have waited longer. A long
// attempt counts as one more turn for each 0.3 s that it takes, unless its tenant has no other
// attempts waiting or running. Within a tenant, attempts start in FIFO order.
//
// After three consecutive attempts with callers, a background refresh goes next, so that callers of
// failing Caches do not starve healthy ones. However, it does not overtake callers of a healthy
// Cache of the same tenant, or callers of a tenant that has waited longer for its turn.
//
// A tenant is active from its first attempt until an hour after its last. It may use at most half
// of the slots while other tenants are active, and until a service has responded to one of its
// attempts. Caches whose last attempt failed may use at most half of all slots and half of their
// tenant's slots. Each of these limits is at least one slot.
//
// Slow tenants may use fewer slots. An attempt is slow if it takes three seconds, or a second
// without a response. If two attempts of a tenant are slow within a minute, but not at the same
// time, the tenant is slow until a service responds in time at least a minute after the last slow
// attempt. Until a service has responded to the tenant, one slow attempt is enough. While other
// tenants are active, all slow tenants together may use at most half of the slots, and each at most
// a quarter or two slots, whichever is more. A slow tenant that is alone leaves a quarter of the
// slots for others, or half if its attempts get no response.
//
// Throttling affects only the throttled tenant. The number of slots that it may hold is halved, at
// most once a second and never to fewer than one. Any other response, success or error, restores a
// fraction of a slot.
//
// To save CPU time, background refreshes start in batches once a second, up to a second early,
// unless the lifetime of the credentials is less than a minute.
//
// Use [NewLimiter] to create a Limiter. It is safe for concurrent use.
type Limiter struct{ slots *slots.Pool }

// NewLimiter returns a new Limiter with n slots, clamped to between 1 and 1,000,000.
func NewLimiter(n int) *Limiter { return &Limiter{slots.New(n)} }

// LimiterStatus is a snapshot of the status of a [Limiter].
type LimiterStatus struct {
	Running int // slots in use; nested attempts share one
	Waiting int // attempts waiting for a slot
	Slots   int // number of slots; may be fewer than passed to NewLimiter while all active tenants are throttled
}

// Status returns the current status, without waiting for any attempt.
func (l *Limiter) Status() (s LimiterStatus) {
	s.Running, s.Waiting, s.Slots = l.slots.Status()
	return s
}

// slots returns the slots of the Limiter, or nil if there is no Limiter.
func (c *Cache) slots() *slots.Pool { return c.opts.Limiter.slots }

// slotKey is the context key for the ticket of an attempt.
type slotKey struct{ *slots.Pool }

// callerTicket returns the ticket of the attempt whose source is calling this Cache with ctx, or
// nil if there is none with the same Limiter. Waiting for a second slot could deadlock, so the
// attempt of this Cache shares the slot, and keeps it if it outlives the caller's attempt. An
// abandoned attempt has no slot to share, so attempts that its source starts later wait for their
// own.
func (c *Cache) callerTicket(ctx context.Context) *slots.Ticket {
	ticket, _ := ctx.Value(slotKey{c.slots()}).(*slots.Ticket)
	return ticket
}

// demand records that a caller needs credentials, and calls advance. If the caller waits and the
// attempt is queued, it starts in the caller's slot, or is promoted if the caller has none. c.mu
// must be held.
func (c *Cache) demand(caller *slots.Ticket, waits bool) {
	c.scheduler.demand = true
	c.advance(caller)
	if a := c.scheduler.attempt; waits && a != nil && a.progress == queued {
		if c.slots().Share(a.ticket, caller) {
			c.run(a)
		} else {
			c.slots().Promote(a.ticket)
		}
	}
}
