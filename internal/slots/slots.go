// Package slots limits concurrency. Tenants take turns acquiring slots, and the number of slots that
// a tenant may hold adapts to throttling.
package slots

import (
	"container/list"
	"sync"
	"time"

	"github.com/irsakit/irsakit/internal/awserror"
)

// Pool is a set of slots. A nil Pool is unlimited.
type Pool struct {
	limit int
	start time.Time

	mu      sync.Mutex
	running holders
	tenants map[string]*tenant
	idle    list.List // each *tenant without tickets, longest idle first
	order
}

// Priority determines the order in which queued tickets acquire a slot. After three consecutive
// tickets with callers, a background ticket may go next (see overtakes). Tickets with a failing
// priority hold at most half of the slots.
type Priority int

// The priorities, highest first.
const (
	Foreground        Priority = iota // callers are waiting
	ForegroundFailing                 // callers are waiting, and the last attempt failed
	Background                        // no caller is waiting
	BackgroundFailing                 // no caller is waiting, and the last attempt failed
	priorities
)

func (p Priority) failing() bool { return p == ForegroundFailing || p == BackgroundFailing }

// Ticket is a slot, or a request for one.
type Ticket struct {
	Tenant   string
	Priority Priority
	Start    func() bool // called when a queued ticket acquires a slot; if it returns false, the slot is released
	Within   *Ticket     // the ticket of the calling attempt, or nil; if it has a slot, both share it

	tenant  *tenant
	element *list.Element // in its tenant's queue; nil if not queued
	slot    *Ticket       // the ticket whose slot it uses, possibly itself; nil if none
	started time.Time     // when it acquired its own slot
	users   int           // number of tickets using its slot
	slow    bool          // its tenant was slow when it acquired its own slot
}

// maxSlots exceeds what a process can use, yet is small enough for a float64 to count exactly.
const maxSlots = 1_000_000

// New returns a Pool with n slots, clamped to between 1 and 1,000,000.
func New(n int) *Pool {
	return &Pool{limit: min(max(n, 1), maxSlots), start: time.Now(), tenants: map[string]*tenant{}}
}

// batchInterval is how often background refreshes start.
const batchInterval = time.Second

// SinceBatch returns the offset of at within its batch interval.
func (p *Pool) SinceBatch(at time.Time) time.Duration {
	return max(at.Sub(p.start), 0) % batchInterval
}

// Status returns the number of slots in use, the number of waiting tickets, and the total number of
// slots. The total is below the limit if, after throttling, all tenants together may hold fewer.
func (p *Pool) Status() (running, waiting, slots int) {
	if p == nil {
		return 0, 0, 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tenants {
		if slots += int(t.slots); slots >= p.limit {
			break
		}
	}
	if len(p.tenants) == 0 {
		slots = p.limit
	}
	return p.running.all, p.tickets, min(slots, p.limit)
}

// Acquire acquires a slot for t and reports whether it succeeded. Otherwise t is queued, and its
// Start function is called when it acquires a slot.
func (p *Pool) Acquire(t *Ticket) bool {
	if p == nil {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.share(t.Within) {
		return true
	}
	t.tenant = p.addTicket(t.Tenant)
	if p.entitled(t.tenant, t.Priority) {
		p.hold(t)
		return true
	}
	p.push(t)
	return false
}

// share makes t use the slot of other. It returns false if other is nil or has no slot. p.mu must be
// held.
func (t *Ticket) share(other *Ticket) bool {
	if other == nil || other.slot == nil {
		return false
	}
	t.slot = other.slot
	t.slot.users++
	return true
}

// Share makes a queued ticket use the slot of other. It returns false if t is not queued, or if
// other is nil or has no slot.
func (p *Pool) Share(t, other *Ticket) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.element == nil || !t.share(other) {
		return false
	}
	p.remove(t)
	p.removeTicket(t.tenant)
	return true
}

// hold assigns a slot to t. p.mu must be held.
func (p *Pool) hold(t *Ticket) {
	t.slot, t.users, t.started = t, 1, time.Now()
	t.slow = t.tenant.slow
	p.running.add(t, 1)
	t.tenant.running.add(t, 1)
	p.takeTurn(t.tenant)
}

// Promote promotes a queued background ticket because callers are now waiting for it.
func (p *Pool) Promote(t *Ticket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.element == nil || t.Priority < Background {
		return
	}
	p.remove(t)
	t.Priority -= Background
	p.push(t)
}

// Cancel cancels t and reports whether it was queued.
func (p *Pool) Cancel(t *Ticket) bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.element == nil {
		return false
	}
	p.remove(t)
	p.removeTicket(t.tenant)
	return true
}

// Release releases the slot of t, if it has one, and starts the tickets that can now acquire a slot.
// A shared slot becomes free when its last ticket releases it. err is the error of the attempt that
// held the slot, or nil. A throttling error halves the number of slots that the tenant may hold, at
// most once a second. Any other response from a service restores a fraction of a slot.
func (p *Pool) Release(t *Ticket, err error) {
	if p == nil {
		return
	}
	answered, throttled := awserror.IsResponse(err)
	started := p.releaseSlot(t, err == nil || answered && !throttled, throttled)
	for len(started) > 0 {
		t, started = started[0], started[1:]
		if !t.Start() {
			started = append(started, p.releaseSlot(t, false, false)...)
		}
	}
}

// releaseSlot releases the slot of t, if it has one, and returns the queued tickets that now acquire a
// slot. accepted means that a service responded without throttling.
func (p *Pool) releaseSlot(t *Ticket, accepted, throttled bool) (started []*Ticket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	holder := t.slot
	if holder == nil {
		return nil
	}
	t.slot = nil
	if t == holder {
		p.adapt(t, accepted, throttled)
	}
	if holder.users--; holder.users == 0 {
		p.running.add(holder, -1)
		holder.tenant.running.add(holder, -1)
		p.removeTicket(holder.tenant)
		p.removeIdle()
	}
	for next := p.next(); next != nil; next = p.next() {
		p.remove(next)
		p.pass(next)
		p.hold(next)
		started = append(started, next)
	}
	return started
}
