package slots_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"github.com/irsakit/irsakit/internal/slots"
)

var (
	errThrottled = &smithy.GenericAPIError{Code: "Throttling"}
	errDenied    = &smithy.GenericAPIError{Code: "AccessDenied"}
)

// modelTicket is a ticket, and what the model expects of it.
type modelTicket struct {
	*slots.Ticket
	number  int
	waiting bool
	holds   bool
	slow    bool      // its tenant was slow when it acquired a slot
	started time.Time // when it acquired a slot
}

// modelTenant is a tenant as the model knows it.
type modelTenant struct {
	slots      float64
	answered   bool
	slow       bool
	lastSlow   time.Time
	lastHalved time.Time
	lastTicket time.Time // when the tenant last had a ticket
	turn       int
	place      [4]int // among the tenants with the same turn, per priority
}

// model is a Pool and a simple implementation of the same rules, which examines every ticket each time.
type model struct {
	t       *testing.T
	random  *rand.Rand
	pool    *slots.Pool
	limit   int
	tickets []*modelTicket // in the order queued
	tenants map[string]*modelTenant
	turns   int
	passed  int
	places  int
	started []int // numbers of the tickets that the Pool started
	numbers int
	history []string
}

func newModel(t *testing.T, seed uint64) *model {
	random := rand.New(rand.NewPCG(seed, 1))
	limit := []int{1, 2, 3, 4, 8, 32}[random.IntN(6)]
	return &model{t: t, random: random, limit: limit, pool: slots.New(limit), tenants: map[string]*modelTenant{}}
}

func failing(p slots.Priority) bool {
	return p == slots.ForegroundFailing || p == slots.BackgroundFailing
}

func half(n int) int { return max(n/2, 1) }

// count returns the number of tickets for which the condition holds.
func (m *model) count(condition func(*modelTicket) bool) (n int) {
	for _, ticket := range m.tickets {
		if condition(ticket) {
			n++
		}
	}
	return n
}

// share returns the number of slots that a tenant may hold.
func (m *model) share(name string) int {
	n := int(m.tenants[name].slots)
	if len(m.tenants) > 1 || !m.tenants[name].answered {
		n = min(n, half(m.limit))
	}
	switch slow := m.tenants[name].slow; {
	case slow && len(m.tenants) > 1:
		n = min(n, max(m.limit/4, 2))
	case slow && m.limit > 1:
		n = min(n, m.limit-max(m.limit/4, 1))
	}
	return n
}

// may reports whether a ticket may acquire a slot.
func (m *model) may(t *modelTicket) bool {
	all := m.count(func(o *modelTicket) bool { return o.holds })
	allFailing := m.count(func(o *modelTicket) bool { return o.holds && failing(o.Priority) })
	slow := m.count(func(o *modelTicket) bool { return o.holds && o.slow })
	own := m.count(func(o *modelTicket) bool { return o.holds && o.Tenant == t.Tenant })
	ownFailing := m.count(func(o *modelTicket) bool { return o.holds && o.Tenant == t.Tenant && failing(o.Priority) })
	share := m.share(t.Tenant)
	return all < m.limit && own < share &&
		(allFailing < half(m.limit) || !failing(t.Priority)) &&
		(slow < half(m.limit) || !m.tenants[t.Tenant].slow || len(m.tenants) == 1) &&
		(ownFailing < half(share) || !failing(t.Priority))
}

// first returns the first ticket with a priority that may acquire a slot.
func (m *model) first(either ...slots.Priority) *modelTicket {
	for _, priority := range either {
		var best *modelTicket
		for _, t := range m.tickets {
			if t.waiting && t.Priority == priority && m.may(t) && (best == nil || m.before(t, best)) {
				best = t
			}
		}
		if best != nil {
			return best
		}
	}
	return nil
}

// before reports whether the turn of a's tenant comes before that of b's.
func (m *model) before(a, b *modelTicket) bool {
	x, y := m.tenants[a.Tenant], m.tenants[b.Tenant]
	return x.turn < y.turn || x.turn == y.turn && x.place[a.Priority] < y.place[b.Priority]
}

// next returns the ticket that acquires the next slot.
func (m *model) next() *modelTicket {
	caller := m.first(slots.Foreground, slots.ForegroundFailing)
	background := m.first(slots.Background, slots.BackgroundFailing)
	switch {
	case caller == nil:
		return background
	case background == nil || m.passed < 3:
		return caller
	case caller.Tenant == background.Tenant && failing(caller.Priority):
		return background
	case caller.Tenant != background.Tenant && m.tenants[background.Tenant].turn < m.tenants[caller.Tenant].turn:
		return background
	default:
		return caller
	}
}

// hold assigns a slot to a ticket.
func (m *model) hold(t *modelTicket) {
	t.holds, t.waiting, t.started = true, false, time.Now()
	t.slow = m.tenants[t.Tenant].slow
	m.turns++
	m.setTurn(t.Tenant, m.turns)
}

// setTurn sets the turn of a tenant, and puts it behind all others with the same turn.
func (m *model) setTurn(name string, turn int) {
	tenant := m.tenants[name]
	tenant.turn = turn
	for priority := range tenant.place {
		m.places++
		tenant.place[priority] = m.places
	}
}

// renew limits the turn of a tenant that has had no tickets.
func (m *model) renew(name string) {
	if m.count(func(o *modelTicket) bool { return o.Tenant == name }) == 0 {
		m.tenants[name].turn = min(m.tenants[name].turn, m.turns)
	}
}

// queue puts a ticket behind all others with its priority.
func (m *model) queue(t *modelTicket) {
	m.tickets = slices.DeleteFunc(m.tickets, func(o *modelTicket) bool { return o == t })
	if m.count(func(o *modelTicket) bool { return o.waiting && o.Tenant == t.Tenant && o.Priority == t.Priority }) == 0 {
		m.places++
		m.tenants[t.Tenant].place[t.Priority] = m.places
	}
	m.tickets = append(m.tickets, t)
}

// remove removes a ticket, and the tenants without tickets for an hour.
func (m *model) remove(t *modelTicket, forget bool) {
	m.tickets = slices.DeleteFunc(m.tickets, func(o *modelTicket) bool { return o == t })
	m.tenants[t.Tenant].lastTicket = time.Now()
	for name, tenant := range m.tenants {
		has := m.count(func(o *modelTicket) bool { return o.Tenant == name }) > 0
		if forget && !has && time.Since(tenant.lastTicket) >= time.Hour {
			delete(m.tenants, name)
		}
	}
}
