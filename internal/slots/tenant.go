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
	answered   bool    // a service has responded without throttling, and attempts have not been slow since; see adapt
	lastHalved time.Time
	lastSlow   time.Time // when an attempt was last slow; see adapt
	turn       int       // number of its last turn; see addTicket and adapt for other values
	queues     [priorities]queue

	idle      *list.Element // in Pool.idle; nil while it has tickets
	idleSince time.Time
}

// holders counts tickets that hold a slot.
type holders struct{ all, suspect int }

func (h *holders) add(suspect bool, n int) {
	h.all += n
	if suspect {
		h.suspect += n
	}
}

// below reports whether another ticket may hold one of n slots. Suspect tickets hold at most half of them.
func (h *holders) below(n int, suspect bool) bool {
	return h.all < n && (!suspect || h.suspect < half(n))
}

func half(n int) int { return max(n/2, 1) }

// available reports whether a slot is available. p.mu must be held.
func (p *Pool) available(suspect bool) bool { return p.running.below(p.limit, suspect) }

// entitled reports whether a tenant may hold another slot. All failing tickets and those of slow tenants
// together hold at most half of the slots, and the failing ones of a tenant at most half of its share. p.mu
// must be held.
func (p *Pool) entitled(t *tenant, priority Priority) bool {
	return p.available(priority.failing() || t.slow()) && t.running.below(p.share(t), priority.failing())
}

// share returns the number of slots that a tenant may hold, which is at most half of them while there
// are other tenants, before the first response, and after slow attempts. Otherwise, a tenant whose
// attempts are slow could hold all slots by the time another tenant arrives. While there are other
// tenants, a slow one holds at most a quarter, so that it leaves slots to other slow ones. p.mu must be
// held.
func (p *Pool) share(t *tenant) int {
	n := int(t.slots)
	switch {
	case len(p.tenants) > 1 && t.slow():
		return min(n, half(p.limit), max(p.limit/4, 2)) // a failing ticket holds only one of two
	case len(p.tenants) > 1 || !t.answered:
		return min(n, half(p.limit))
	default:
		return n
	}
}

// slow reports whether the attempts of a tenant have been slow and may still be; see adapt.
func (t *tenant) slow() bool { return !t.answered && !t.lastSlow.IsZero() }

// An attempt is slow if it held a slot for minSlow, whatever its outcome. Attempts that are slow at the
// same time count as one. If another is slow within maxDoubt, responses to a tenant's attempts do not count
// until none has been slow for maxDoubt.
const minSlow, maxDoubt = 3 * time.Second, time.Minute

// turnTime is how long an attempt may hold a slot for each turn of its tenant. After a longer attempt, the
// tenant lets other waiting tenants take more turns. Otherwise, long attempts would use most of the time of
// a single slot.
const turnTime = 300 * time.Millisecond

// adapt adjusts the number of slots of a tenant, and its next turn, to the outcome of an attempt. p.mu
// must be held.
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
	trusted := now.Sub(t.lastSlow) >= maxDoubt
	switch {
	case held < minSlow:
		t.answered = t.answered || accepted && trusted
	case now.Sub(t.lastSlow) >= minSlow:
		t.answered, t.lastSlow = t.answered && trusted, now
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
