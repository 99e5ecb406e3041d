// Package slots bounds how many things run at the same time. Slots are acquired in the order
// of priorities, and their number adapts to throttling.
package slots

import (
	"container/list"
	"sync"
	"time"

	"github.com/irsakit/irsakit/internal/awserror"
)

// Pool is a number of slots. A nil Pool has no bound.
type Pool struct {
	limit int
	start time.Time

	mu         sync.Mutex
	slots      float64 // currently, from 1 to limit
	running    int
	failing    int // running tickets with a failing priority
	waiting    [priorities]list.List
	lastHalved time.Time
}

// Priority is the order in which queued tickets acquire a slot. There is a queue for each. Tickets with
// a failing priority hold at most half of the slots.
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
	Priority Priority
	Start    func()        // called once a queued ticket has its slot
	Nested   bool          // it needs no slot, because its caller holds one
	element  *list.Element // nil if it is not queued
	holds    bool          // it holds a slot
}

// maxSlots exceeds what a process can use. Up to there a float64 counts exactly.
const maxSlots = 1_000_000

// New returns a Pool with the given number of slots, from 1 to 1,000,000.
func New(n int) *Pool {
	n = min(max(n, 1), maxSlots)
	return &Pool{limit: n, start: time.Now(), slots: float64(n)}
}

// batchInterval is how often background refreshes start.
const batchInterval = time.Second

// SinceBatch returns how long before at the batch of its second starts.
func (p *Pool) SinceBatch(at time.Time) time.Duration {
	return max(at.Sub(p.start), 0) % batchInterval
}

// Status returns the number of tickets that hold a slot, of those that wait for one, and of slots.
func (p *Pool) Status() (running, waiting, slots int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.waiting {
		waiting += p.waiting[i].Len()
	}
	return p.running, waiting, int(p.slots)
}

// Acquire acquires a slot for a ticket and reports whether it succeeded. Otherwise the ticket is
// queued, and its Start function is called once it has a slot.
func (p *Pool) Acquire(t *Ticket) bool {
	if p == nil || t.Nested {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.acquireLocked(t) {
		return true
	}
	t.element = p.waiting[t.Priority].PushBack(t)
	return false
}

// acquireLocked acquires a slot for a ticket if one is available. p.mu is held.
func (p *Pool) acquireLocked(t *Ticket) bool {
	slots := int(p.slots)
	if p.running >= slots || t.Priority.failing() && p.failing >= max(slots/2, 1) {
		return false
	}
	p.running++
	t.holds = true
	if t.Priority.failing() {
		p.failing++
	}
	return true
}

// Promote promotes a queued background ticket, because callers wait for it now.
func (p *Pool) Promote(t *Ticket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.element == nil || t.Priority < Background {
		return
	}
	p.waiting[t.Priority].Remove(t.element)
	t.Priority -= Background
	t.element = p.waiting[t.Priority].PushBack(t)
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
	p.waiting[t.Priority].Remove(t.element)
	t.element = nil
	return true
}

// Release releases the slot of a ticket, if it holds one, and starts the tickets that acquire it. err is the
// error of the attempt that held the slot, or nil. A throttling error halves the number of slots, at
// most once a second. A success, or any other answer of a service, restores a part of a slot.
func (p *Pool) Release(t *Ticket, err error) {
	if p == nil {
		return
	}
	answered, throttled := awserror.Answer(err)
	for _, next := range p.releaseSlot(t, err == nil || answered && !throttled, throttled) {
		next.Start()
	}
}

// releaseSlot releases the slot of a ticket, if it holds one, and returns the queued tickets that acquired one instead.
func (p *Pool) releaseSlot(t *Ticket, accepted, throttled bool) (next []*Ticket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !t.holds {
		return nil
	}
	t.holds = false
	p.running--
	if t.Priority.failing() {
		p.failing--
	}
	p.adapt(accepted, throttled)
	for i := range p.waiting {
		queue := &p.waiting[i]
		for front := queue.Front(); front != nil; front = queue.Front() {
			waiting := front.Value.(*Ticket)
			if !p.acquireLocked(waiting) {
				break
			}
			queue.Remove(front)
			waiting.element = nil
			next = append(next, waiting)
		}
	}
	return next
}

// adapt adjusts the number of slots to the outcome of an attempt. accepted reports whether a service
// answered without throttling. p.mu is held.
func (p *Pool) adapt(accepted, throttled bool) {
	switch now := time.Now(); {
	case accepted:
		p.slots = min(p.slots+1/p.slots, float64(p.limit))
	case throttled && now.Sub(p.lastHalved).Abs() >= time.Second:
		p.slots, p.lastHalved = max(p.slots/2, 1), now
	}
}
