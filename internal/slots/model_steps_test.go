package slots_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/slots"
	"github.com/irsakit/irsakit/internal/test/testsize"
)

func (m *model) acquire() {
	m.numbers++
	number := m.numbers
	ticket := &slots.Ticket{
		Tenant: string(rune('a' + m.random.IntN(4))), Priority: slots.Priority(m.random.IntN(4)),
		Start: func() bool { m.started = append(m.started, number); return true },
	}
	m.log("%d: acquire for %s with %d", number, ticket.Tenant, ticket.Priority)
	if m.tenants[ticket.Tenant] == nil {
		m.tenants[ticket.Tenant] = &modelTenant{slots: float64(m.limit), turn: m.turns - 1}
	}
	m.renew(ticket.Tenant)
	t := &modelTicket{Ticket: ticket, number: number}
	may := m.may(t)
	m.queue(t)
	if t.waiting = !may; may {
		m.hold(t)
	}
	require.Equal(m.t, may, m.pool.Acquire(ticket), m.history)
}

func (m *model) release(t *modelTicket, err error) {
	m.log("%d: release with %v", t.number, err)
	var expected []int
	if t.holds {
		tenant := m.tenants[t.Tenant]
		held := time.Since(t.started)
		if turns := int(held / (300 * time.Millisecond)); turns > 0 {
			m.setTurn(t.Tenant, max(tenant.turn, m.turns+turns))
		}
		accepted := err == nil || err == errDenied
		switch {
		case accepted:
			tenant.slots = min(tenant.slots+1/tenant.slots, float64(m.limit))
		case err == errThrottled && time.Since(tenant.lastHalved) >= time.Second:
			tenant.slots, tenant.lastHalved = float64(half(m.share(t.Tenant))), time.Now()
		}
		slow := held >= 3*time.Second || err == errBroken && held >= time.Second
		first, since := !tenant.answered, time.Since(tenant.lastSlow)
		if slow && since >= 3*time.Second {
			if first || since < time.Minute {
				tenant.slow = true
			}
			if tenant.slow {
				tenant.answered = false
			}
			if accepted {
				tenant.answered = true
			}
			tenant.lastSlow = time.Now()
		}
		if !slow && accepted && since >= time.Minute {
			tenant.answered, tenant.slow = true, false
		}
		m.remove(t, true)
		for next := m.next(); next != nil; next = m.next() {
			expected = append(expected, next.number)
			m.start(next)
		}
	}
	m.started = nil
	m.pool.Release(t.Ticket, err)
	require.Equal(m.t, expected, m.started, m.history)
	m.pool.Release(t.Ticket, nil)
	require.Equal(m.t, expected, m.started, "nothing is released twice: %s", m.history)
}

// start gives a waiting ticket its slot.
func (m *model) start(t *modelTicket) {
	m.hold(t)
	behind := m.count(func(o *modelTicket) bool { return o.waiting && o.Priority >= slots.Background }) > 0
	if t.Priority < slots.Background && behind {
		m.passed++
	} else {
		m.passed = 0
	}
}

func (m *model) promote(t *modelTicket) {
	m.log("%d: promote", t.number)
	before := t.Priority
	m.pool.Promote(t.Ticket)
	if t.waiting && before >= slots.Background {
		require.Equal(m.t, before-slots.Background, t.Priority, m.history)
		m.queue(t)
		return
	}
	require.Equal(m.t, before, t.Priority, m.history)
}

func (m *model) cancel(t *modelTicket) {
	m.log("%d: cancel", t.number)
	require.Equal(m.t, t.waiting, m.pool.Cancel(t.Ticket), m.history)
	if t.waiting {
		m.remove(t, false)
	}
}

func (m *model) log(format string, args ...any) {
	m.history = append(m.history, fmt.Sprintf(format, args...))
}

// step performs a random operation.
func (m *model) step() {
	if len(m.tickets) == 0 || m.random.IntN(5) < 2 {
		m.acquire()
		return
	}
	t := m.tickets[m.random.IntN(len(m.tickets))]
	switch n := m.random.IntN(100); {
	case n < 60:
		m.release(t, []error{nil, errDenied, errThrottled, errBroken}[m.random.IntN(4)])
	case n < 75:
		m.promote(t)
	case n < 90:
		m.cancel(t)
	case n < 99:
		m.sleep(time.Duration(m.random.IntN(2000)) * time.Millisecond)
	default:
		m.sleep(time.Duration(m.random.IntN(100)) * time.Minute)
	}
}

func (m *model) sleep(d time.Duration) {
	m.log("sleep %v", d)
	time.Sleep(d)
}

// check checks the invariants that hold after each operation.
func (m *model) check() {
	running, waiting, n := m.pool.Status()
	holding := m.count(func(t *modelTicket) bool { return t.holds })
	require.Equal(m.t, holding, running, m.history)
	require.Equal(m.t, m.count(func(t *modelTicket) bool { return t.waiting }), waiting, m.history)
	total := 0
	for _, tenant := range m.tenants {
		total += int(tenant.slots)
	}
	if len(m.tenants) == 0 {
		total = m.limit
	}
	require.Equal(m.t, min(total, m.limit), n, m.history)
	require.LessOrEqual(m.t, running, m.limit, m.history)
	allFailing := m.count(func(t *modelTicket) bool { return t.holds && failing(t.Priority) })
	require.LessOrEqual(m.t, allFailing, half(m.limit), m.history)
	for _, t := range m.tickets {
		require.False(m.t, t.waiting && m.may(t), "ticket %d waits although it may acquire a slot: %s", t.number, m.history)
	}
}

// TestPoolMatchesModel compares a Pool with the model for random sequences of operations.
func TestPoolMatchesModel(t *testing.T) {
	for seed := range uint64(testsize.Choose(50, 150, 5000)) {
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, seed)
			for range 300 {
				m.step()
				m.check()
			}
			for len(m.tickets) > 0 { // every ticket gets its slot
				i := slices.IndexFunc(m.tickets, func(t *modelTicket) bool { return t.holds })
				require.GreaterOrEqual(t, i, 0, m.history)
				m.release(m.tickets[i], nil)
				m.check()
			}
		})
	}
}
