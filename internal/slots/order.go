package slots

import "container/list"

// maxPassed is the number of consecutive tickets with callers after which a background
// ticket goes next.
const maxPassed = 3

// order is the order in which queued tickets acquire a slot. It is guarded by Pool.mu.
type order struct {
	waiting [priorities]list.List // each *tenant with queued tickets of the priority, next in turn first
	tickets int                   // number of queued tickets
	turns   int                   // number of turns taken so far
	passed  int                   // number of consecutive tickets with callers that passed background tickets
}

// queue contains the tickets of one tenant and priority, in FIFO order.
type queue struct {
	tickets list.List
	element *list.Element // the tenant in order.waiting; nil if the queue is empty
}

func (o *order) push(t *Ticket) {
	q := &t.tenant.queues[t.Priority]
	if q.element == nil {
		q.element = o.insert(t.tenant, t.Priority)
	}
	t.element = q.tickets.PushBack(t)
	o.tickets++
}

// insert inserts a tenant in the order of last turns, after any with the same turn.
func (o *order) insert(t *tenant, priority Priority) *list.Element {
	waiting := &o.waiting[priority]
	for e := waiting.Back(); e != nil; e = e.Prev() {
		if e.Value.(*tenant).turn <= t.turn {
			return waiting.InsertAfter(t, e)
		}
	}
	return waiting.PushFront(t)
}

func (o *order) remove(t *Ticket) {
	q := &t.tenant.queues[t.Priority]
	q.tickets.Remove(t.element)
	t.element = nil
	o.tickets--
	if q.tickets.Len() == 0 {
		o.waiting[t.Priority].Remove(q.element)
		q.element = nil
	}
}

// pass updates passed when t acquires a slot.
func (o *order) pass(t *Ticket) {
	if t.Priority < Background && o.waiting[Background].Len()+o.waiting[BackgroundFailing].Len() > 0 {
		o.passed++
	} else {
		o.passed = 0
	}
}

// takeTurn records that a ticket of a tenant acquired a slot.
func (o *order) takeTurn(t *tenant) {
	o.turns++
	o.setTurn(t, o.turns)
}

// setTurn sets the turn of a tenant, and moves it behind all waiting tenants with the same or an earlier
// turn.
func (o *order) setTurn(t *tenant, turn int) {
	t.turn = turn
	for priority := range t.queues {
		if q := &t.queues[priority]; q.element != nil {
			o.waiting[priority].Remove(q.element)
			q.element = o.insert(t, Priority(priority))
		}
	}
}

// next returns the queued ticket that acquires the next slot, or nil if no queued ticket may. p.mu
// must be held.
func (p *Pool) next() *Ticket {
	caller := p.first(Foreground, ForegroundFailing)
	if caller != nil && p.passed < maxPassed {
		return caller
	}
	background := p.first(Background, BackgroundFailing)
	if caller == nil || background != nil && background.overtakes(caller) {
		return background
	}
	return caller
}

// overtakes reports whether a background ticket goes before a ticket with callers once maxPassed
// tickets have passed it. It never overtakes healthy tickets of its own tenant, or a tenant whose
// last turn was earlier.
func (t *Ticket) overtakes(caller *Ticket) bool {
	if t.tenant == caller.tenant {
		return caller.Priority.failing()
	}
	return t.tenant.turn < caller.tenant.turn
}

// first returns the first ticket of either priority that may acquire a slot, or nil. It skips only
// tenants that hold a slot and slow tenants. p.mu must be held.
func (p *Pool) first(either ...Priority) *Ticket {
	for _, priority := range either {
		if !p.available(priority) {
			continue
		}
		for e := p.waiting[priority].Front(); e != nil; e = e.Next() {
			if t := e.Value.(*tenant); p.entitled(t, priority) {
				return t.queues[priority].tickets.Front().Value.(*Ticket)
			}
		}
	}
	return nil
}
