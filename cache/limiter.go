package cache

import (
	"context"

	"github.com/irsakit/irsakit/internal/slots"
)

// Limiter bounds the number of concurrent attempts across Caches, and is fair between their tenants
// (see [Options]). Each attempt acquires a slot before it calls the source, and releases it when the
// source returns. An attempt whose source does not return in time is abandoned and releases its slot
// (see Options.AttemptTimeout). If the source calls another Cache with the same Limiter, both
// attempts share one slot until both have released it.
//
// Attempts that callers are waiting for acquire slots before background refreshes. Within each group,
// Caches whose last attempt failed come last. Within each of these four priorities, tenants take
// turns, starting with the tenant that started an attempt least recently. A new tenant goes before
// the tenant that started the last attempt, but after those that have waited longer. An attempt counts
// as one more turn of its tenant for each 0.3 s that it takes, as long as others of its attempts are
// waiting or running. Within a tenant, attempts start in FIFO order.
//
// Callers of failing Caches do not starve healthy Caches, because after three consecutive attempts
// with callers, a background refresh goes next. That refresh does not overtake callers of a healthy
// Cache of the same tenant, or callers of a tenant that has waited longer for its turn.
//
// A tenant is active from its first attempt until an hour after its last. While other tenants are
// active, and until a service has responded to one of its attempts, a tenant is limited to half of the
// slots. Attempts by Caches whose last attempt failed are limited to half of all slots and half of their
// tenant's slots. These limits are never below one.
//
// An attempt is slow if it takes three seconds, or a second without a response. A tenant becomes slow if
// an attempt is slow before a service has responded to another, or if two attempts are slow within a
// minute and not at the same time. It stays slow until a service responds in time at least a minute
// after the last of them. While other tenants are active, slow tenants are limited to half of the slots
// together, and each to a quarter of the slots or to two, whichever is more. Alone, a slow tenant leaves
// a quarter of the slots for others, or half if its attempts get no response.
//
// Throttling affects only the throttled tenant. The number of slots that it may hold is halved, at
// most once a second and never to fewer than one. Any other response, success or error, restores a
// fraction of a slot.
//
// Background refreshes of credentials with a lifetime of at least a minute start up to a second
// early, in batches once a second. Waking up once per batch takes less CPU time than waking up for
// each refresh.
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

// Status returns the current status. It does not block for long.
func (l *Limiter) Status() (s LimiterStatus) {
	s.Running, s.Waiting, s.Slots = l.slots.Status()
	return s
}

// slots returns the slots of the Limiter, or nil if there is no Limiter.
func (c *Cache) slots() *slots.Pool { return c.opts.Limiter.slots }

// slotKey is the context key for the ticket of an attempt.
type slotKey struct{ *slots.Pool }

// callerTicket returns the ticket of the attempt whose source is calling this Cache with ctx. It
// returns nil if there is no such attempt or it uses another Limiter. The attempt of this Cache uses
// the same slot, because waiting for a second slot could deadlock, and keeps it if it outlives the
// caller's attempt. An abandoned attempt has no slot, so attempts that its source still starts wait
// for their own.
func (c *Cache) callerTicket(ctx context.Context) *slots.Ticket {
	ticket, _ := ctx.Value(slotKey{c.slots()}).(*slots.Ticket)
	return ticket
}

// demand records that a caller needs credentials, and calls advance. If the caller waits for a
// queued attempt, the attempt starts in the caller's slot, or is promoted if the caller does not
// hold one. c.mu must be held.
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
