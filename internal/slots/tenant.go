package slots

import (
	"container/list"
	"time"
)

// tenantTTL is how long a tenant is kept after its last ticket. Credentials usually live for an hour,
// so a tenant with valid credentials is always kept.
const tenantTTL = time.Hour

// tenant is a tenant that has tickets or had one recently.
type tenant struct {
	name       string
	tickets    int // number of tickets that hold or wait for a slot
	running    holders
	slots      float64 // number of slots that it may hold, from 1 to the limit of the Pool; see share
	answered   bool    // a service has responded without throttling, and attempts have not hung since; see adapt
	slow       bool    // its attempts have been slow and may still be; see adapt
	lastHalved time.Time
	lastSlow   time.Time // when an attempt was last slow
	turn       int       // number of its last turn; see addTicket and adapt for other values
	queues     [priorities]queue

	idle      *list.Element // in Pool.idle; nil while it has tickets
	idleSince time.Time
}

// holders counts tickets that hold a slot.
type holders struct{ all, failing, slow int }

// add adds n tickets like t.
func (h *holders) add(t *Ticket, n int) {
	h.all += n
	if t.Priority.failing() {
		h.failing += n
	}
	if t.slow {
		h.slow += n
	}
}

// below reports whether another ticket may hold one of n slots. Failing tickets hold at most half of them.
func (h *holders) below(n int, failing bool) bool {
	return h.all < n && (!failing || h.failing < half(n))
}

func half(n int) int { return max(n/2, 1) }

// available reports whether a slot is available for a priority. p.mu must be held.
func (p *Pool) available(priority Priority) bool { return p.running.below(p.limit, priority.failing()) }

// entitled reports whether a tenant may hold another slot. While there are other tenants, slow ones together
// hold at most half of the slots. p.mu must be held.
func (p *Pool) entitled(t *tenant, priority Priority) bool {
	if t.slow && len(p.tenants) > 1 && p.running.slow >= half(p.limit) {
		return false
	}
	return p.available(priority) && t.running.below(p.share(t), priority.failing())
}

// share returns the number of slots that a tenant may hold. While there are other tenants, no tenant holds
// more than half of the slots. The same limit applies before the first response and after attempts have hung,
// because a tenant whose attempts hang could otherwise hold all slots by the time another tenant arrives. A
// slow tenant leaves a quarter of the slots free.
//
// While there are other tenants, a slow tenant holds only a quarter of the slots, so that there are slots for
// other slow ones. It may still hold two if they are at most half of the slots, because failing tickets hold
// only half of its share. p.mu must be held.
func (p *Pool) share(t *tenant) int {
	n := int(t.slots)
	switch {
	case len(p.tenants) > 1 && t.slow:
		return min(n, half(p.limit), max(p.limit/4, 2))
	case len(p.tenants) > 1 || !t.answered:
		return min(n, half(p.limit))
	case t.slow:
		return min(n, max(p.limit-max(p.limit/4, 1), 1))
	default:
		return n
	}
}

// An attempt is slow if it held a slot for minSlow, or for minHung without a response. A tenant becomes slow
// after two slow attempts within slowWindow; attempts that are slow at the same time count as one. Before the
// first response, or after attempts have hung, one slow attempt is enough. The tenant stays slow until a
// service responds in time at least slowWindow after the last slow attempt.
const minSlow, minHung, slowWindow = 3 * time.Second, time.Second, time.Minute

// turnTime is how long an attempt may hold a slot for each turn of its tenant. After a longer attempt, the
// tenant lets other waiting tenants take more turns. Otherwise, long attempts would use most of the time of
// a single slot.
const turnTime = 300 * time.Millisecond

// adapt adjusts a tenant's number of slots and its next turn after an attempt. p.mu must be held.
func (p *Pool) adapt(ticket *Ticket, accepted, throttled bool) {
	t, now := ticket.tenant, time.Now()
	held := now.Sub(ticket.started)
	if turns := int(held / turnTime); turns > 0 {
		p.setTurn(t, max(t.turn, p.turns+turns))
	}
	switch {
	case accepted:
		t.slots = min(t.slots+1/t.slots, float64(p.limit))
	case throttled && now.Sub(t.lastHalved).Abs() >= time.Second:
		t.slots, t.lastHalved = float64(half(p.share(t))), now
	}
	slow := held >= minSlow || !accepted && !throttled && held >= minHung
	sinceSlow := now.Sub(t.lastSlow)
	switch {
	case slow && sinceSlow >= minSlow:
		t.slow = t.slow || !t.answered || sinceSlow < slowWindow
		t.answered = accepted || t.answered && !t.slow
		t.lastSlow = now
	case !slow && accepted && sinceSlow >= slowWindow:
		t.answered, t.slow = true, false
	}
}

// addTicket adds a ticket to the named tenant and returns the tenant. A new tenant goes before the
// tenant that took the last turn, but after those that have waited longer. Otherwise, a stream of new
// tenants could starve the others. p.mu must be held.
func (p *Pool) addTicket(name string) *tenant {
	t := p.tenants[name]
	switch {
	case t == nil:
		t = &tenant{name: name, slots: float64(p.limit), turn: p.turns - 1}
		p.tenants[name] = t
	case t.idle != nil:
		p.idle.Remove(t.idle)
		t.idle, t.turn = nil, min(t.turn, p.turns)
	}
	t.tickets++
	return t
}

// removeTicket removes a ticket from a tenant. p.mu must be held.
func (p *Pool) removeTicket(t *tenant) {
	if t.tickets--; t.tickets == 0 {
		t.idle, t.idleSince = p.idle.PushBack(t), time.Now()
	}
}

// removeIdle removes the tenants that have had no tickets for tenantTTL. This can raise the share of
// the others, so the caller must then start queued tickets. p.mu must be held.
func (p *Pool) removeIdle() {
	for e := p.idle.Front(); e != nil; e = p.idle.Front() {
		t := e.Value.(*tenant)
		if time.Since(t.idleSince) < tenantTTL {
			return
		}
		p.idle.Remove(e)
		delete(p.tenants, t.name)
	}
}
