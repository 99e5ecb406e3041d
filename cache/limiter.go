package cache

import (
	"context"

	"github.com/irsakit/irsakit/internal/slots"
)

// Limiter bounds how many attempts of several Caches run at the same time, and is fair between their
// tenants: see [Options]. Each attempt acquires a slot before it calls the source, and releases it when
// the source has returned. An attempt whose source does not return in time is abandoned and releases
// its slot: see Options.AttemptTimeout. If the source calls another Cache with the same Limiter, both
// attempts use one slot, until both have released it.
//
// Attempts with waiting callers acquire a slot before background refreshes. In both groups, attempts of
// Caches whose last attempt failed come last. Within such a priority, tenants take turns: the one whose
// last attempt started longest ago comes first. Within a tenant the order is first in, first out.
//
// Callers of failing Caches do not starve healthy ones: after three attempts with callers in a row, one
// background refresh comes first. It does not overtake the callers of a healthy Cache of the same
// tenant, or of a tenant whose last attempt started earlier.
//
// While other tenants are known, and before a service has answered its first attempt, a tenant holds
// at most half of the slots, but at least one. A tenant is known from its first attempt until an hour
// after its last. Attempts of Caches whose last attempt
// failed hold at most half of all slots and of those of their tenant, but at least one.
//
// A throttled attempt slows down only its tenant: the number of slots that the tenant may hold is
// halved, at most once a second and down to one. Each success restores a part of a slot, and so does
// every error of a service that is not throttling.
//
// Background refreshes of credentials with a lifetime of a minute or more start up to a second
// early, in batches once a second. A process that wakes up once for a batch uses less CPU time than
// one that wakes up for each refresh.
//
// Use [NewLimiter] to create a Limiter. It is safe for concurrent use.
type Limiter struct{ slots *slots.Pool }

// NewLimiter returns a Limiter with n slots. An n below 1 counts as 1, above 1,000,000 as 1,000,000.
func NewLimiter(n int) *Limiter { return &Limiter{slots.New(n)} }

// LimiterStatus is the status of a [Limiter] at one moment.
type LimiterStatus struct {
	Running int // slots in use; an attempt and those that it calls use one together
	Waiting int // attempts that wait for a slot
	Slots   int // number of slots; less than that of NewLimiter while all known tenants are throttled
}

// Status returns the current status. It does not block for long.
func (l *Limiter) Status() (s LimiterStatus) {
	s.Running, s.Waiting, s.Slots = l.slots.Status()
	return s
}

// slots returns the slots of the Limiter, or nil without one.
func (c *Cache) slots() *slots.Pool { return c.opts.Limiter.slots }

// slotKey is the context key for the ticket of an attempt.
type slotKey struct{ *slots.Pool }

// callerTicket returns the ticket of the attempt whose context is ctx, or nil if ctx is no attempt's or
// that attempt uses another Limiter. The source of that attempt calls this Cache. The attempt of this
// Cache uses the same slot, because waiting for a second one could deadlock. It keeps the slot if it
// outlives the caller's attempt. An abandoned attempt has no slot, so what its source still starts waits
// for one.
func (c *Cache) callerTicket(ctx context.Context) *slots.Ticket {
	ticket, _ := ctx.Value(slotKey{c.slots()}).(*slots.Ticket)
	return ticket
}

// demand advances for a caller. If the caller waits for an attempt that waits for its slot, the attempt
// is promoted. If that caller has a slot already, the attempt starts in it immediately. c.mu is held.
func (c *Cache) demand(caller *slots.Ticket, waits bool) {
	c.scheduler.demand = true
	c.advance(caller)
	a := c.scheduler.attempt
	switch {
	case !waits || a == nil || a.progress != queued:
		return
	case c.slots().Share(a.ticket, caller):
		c.run(a)
	default:
		c.slots().Promote(a.ticket)
	}
}
