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
	idle    list.List // contains the *tenant without tickets; the longest idle first
	order
}

// Priority is the order in which queued tickets acquire a slot. After three tickets with callers in a
// row, one background ticket can come first: see overtakes. Tickets with a failing priority hold at most
// half of the slots.
type Priority int

// The priorities, the highest first.
const (
	Foreground        Priority = iota // callers wait
	ForegroundFailing                 // callers wait, and the last attempt failed
	Background                        // no caller waits
	BackgroundFailing                 // no caller waits, and the last attempt failed
	priorities
)

func (p Priority) failing() bool { return p == ForegroundFailing || p == BackgroundFailing }

// Ticket is a slot, or a request for one.
type Ticket struct {
	Tenant   string
	Priority Priority
	Start    func()  // called once a queued ticket has its slot; nil after that
	Within   *Ticket // the ticket of the calling attempt, or nil; if it has a slot, both share it

	tenant  *tenant
	element *list.Element // in the queue of its tenant; nil if it is not queued
	slot    *Ticket       // the ticket whose slot it uses, possibly itself; nil if none
	users   int           // number of tickets that use its slot
}

// maxSlots exceeds what a process can use, and is small enough for a float64 to count
// exactly.
const maxSlots = 1_000_000

// New returns a Pool with the given number of slots, from 1 to 1,000,000.
func New(n int) *Pool {
	return &Pool{limit: min(max(n, 1), maxSlots), start: time.Now(), tenants: map[string]*tenant{}}
}

// batchInterval is how often background refreshes start.
const batchInterval = time.Second

// SinceBatch returns the time from the start of the batch interval that contains at, to
// at.
func (p *Pool) SinceBatch(at time.Time) time.Duration {
	return max(at.Sub(p.start), 0) % batchInterval
}

// Status returns the number of slots in use, of waiting tickets, and of available slots. The last is
// less than the limit if all tenants together may hold fewer slots.
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

// Acquire acquires a slot for a ticket and reports whether it succeeded. Otherwise the ticket is
// queued, and its Start function is called once it has a slot.
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
	if p.available(t.Priority) && p.entitled(t.tenant, t.Priority) {
		p.hold(t)
		return true
	}
	p.push(t)
	return false
}

// share makes t use the slot of other, which may be nil, and reports whether other has one. p.mu must
// be held.
func (t *Ticket) share(other *Ticket) bool {
	if other == nil || other.slot == nil {
		return false
	}
	t.slot, t.Start = other.slot, nil
	t.slot.users++
	return true
}

// Share lets a queued ticket use the slot of another one, or nil. It reports whether the ticket was
// queued and the other one has a slot.
func (p *Pool) Share(t, other *Ticket) bool {
	if p == nil {
		return false
	}
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
	t.slot, t.users, t.Start = t, 1, nil
	p.running.add(t.Priority, 1)
	t.tenant.running.add(t.Priority, 1)
	p.takeTurn(t.tenant)
}

// Promote promotes a queued background ticket, because callers wait for it now.
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

// Cancel cancels a queued ticket and reports whether it was queued.
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

// Release releases the slot of a ticket, if it has one, and starts the tickets that acquire a slot now.
// A shared slot becomes free when its last ticket releases it. err is the error of the attempt that held
// the slot, or nil. A throttling error halves the number of slots that the tenant may hold, at most once
// a second. Any other response of a service restores a fraction of a slot.
func (p *Pool) Release(t *Ticket, err error) {
	if p == nil {
		return
	}
	answered, throttled := awserror.IsResponse(err)
	for _, start := range p.releaseSlot(t, err == nil || answered && !throttled, throttled) {
		start()
	}
}

// releaseSlot releases the slot of a ticket, if it has one, and returns the Start functions of the
// queued tickets that acquire a slot now. accepted reports whether a service responded without
// throttling.
func (p *Pool) releaseSlot(t *Ticket, accepted, throttled bool) (starts []func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	holder := t.slot
	if holder == nil {
		return nil
	}
	t.slot = nil
	if t == holder {
		p.adapt(t.tenant, accepted, throttled)
	}
	if holder.users--; holder.users == 0 {
		p.running.add(holder.Priority, -1)
		holder.tenant.running.add(holder.Priority, -1)
		p.removeTicket(holder.tenant)
		p.removeIdle()
	}
	for next := p.next(); next != nil; next = p.next() {
		p.remove(next)
		p.pass(next)
		starts = append(starts, next.Start)
		p.hold(next)
	}
	return starts
}
