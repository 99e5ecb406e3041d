package slots

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestPoolRemovesIdleTenants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(4)
		acquire := func(name string) *Ticket {
			ticket := &Ticket{Tenant: name, Start: func() bool { return true }}
			p.Acquire(ticket)
			return ticket
		}
		last := acquire("last")
		var tickets []*Ticket
		for i := range 1000 {
			tickets = append(tickets, acquire(fmt.Sprint(i)))
		}
		for _, ticket := range tickets[500:] {
			assert.True(t, p.Cancel(ticket))
		}
		for _, ticket := range tickets {
			p.Release(ticket, nil)
		}
		assert.Len(t, p.tenants, 1001)
		time.Sleep(time.Hour)
		p.Release(last, nil)
		assert.Len(t, p.tenants, 1)
		assert.Equal(t, 1, p.idle.Len())
		for i := range p.waiting {
			assert.Zero(t, p.waiting[i].Len())
		}
	})
}

func TestPoolLimitsTenantWithSlowAttempts(t *testing.T) {
	refused := errors.New("refused")
	for _, tt := range []struct {
		name      string
		slow      time.Duration
		err       error
		alone     int // the share of a slow tenant without other tenants
		together  int // the share beside another tenant
		otherwise int // the share beside another tenant of one that is not slow
	}{
		{"no response", minHung, refused, 8, 4, 8},
		{"a response", minSlow, nil, 12, 4, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := New(16)
				attempt := func(d time.Duration, err error) {
					ticket := &Ticket{Tenant: "tenant"}
					p.Acquire(ticket)
					time.Sleep(d)
					p.Release(ticket, err)
				}
				share := func() int { return p.share(p.tenants["tenant"]) }
				attempt(tt.slow, tt.err)
				assert.Equal(t, tt.alone, share(), "the first was slow")
				time.Sleep(slowWindow)
				attempt(0, nil)
				assert.Equal(t, 16, share())
				p.Acquire(&Ticket{Tenant: "other"})
				assert.Equal(t, tt.otherwise, share())
				attempt(tt.slow-1, tt.err)
				attempt(tt.slow-1, tt.err)
				assert.Equal(t, tt.otherwise, share(), "they were not slow")
				first, second := &Ticket{Tenant: "tenant"}, &Ticket{Tenant: "tenant"}
				p.Acquire(first)
				p.Acquire(second)
				time.Sleep(tt.slow)
				p.Release(first, tt.err)
				p.Release(second, tt.err)
				assert.Equal(t, tt.otherwise, share(), "they were slow at the same time")
				time.Sleep(slowWindow - 2*minSlow)
				attempt(tt.slow, tt.err)
				assert.Equal(t, tt.together, share(), "another was slow")
				time.Sleep(slowWindow - minSlow)
				attempt(0, nil)
				assert.Equal(t, tt.together, share(), "others may still be slow")
				time.Sleep(minSlow)
				attempt(0, nil)
				assert.Equal(t, tt.otherwise, share())
				attempt(tt.slow, tt.err)
				assert.Equal(t, tt.otherwise, share(), "only one was slow")
			})
		})
	}
}

// Slow tenants hold half of the slots, but a failing ticket of another tenant still gets one.
func TestPoolSlowTenantsDoNotStarveFailingTickets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(4)
		slow := &Ticket{Tenant: "slow"}
		p.Acquire(slow)
		time.Sleep(minHung)
		p.Release(slow, errors.New("timeout"))
		for range 3 {
			p.Acquire(&Ticket{Tenant: "slow", Start: func() bool { return true }})
		}
		assert.Equal(t, 2, p.running.all)
		assert.True(t, p.Acquire(&Ticket{Tenant: "other", Priority: ForegroundFailing}))
	})
}

func TestPoolDelaysTenantAfterLongAttempt(t *testing.T) {
	for _, err := range []error{nil, errors.New("timeout")} {
		synctest.Test(t, func(t *testing.T) {
			const turns = 30
			p := New(1)
			var running *Ticket
			acquire := func(tenant string) {
				ticket := &Ticket{Tenant: tenant}
				ticket.Start = func() bool { running = ticket; return true }
				if p.Acquire(ticket) {
					running = ticket
				}
			}
			acquire("slow")
			for range turns + 2 {
				acquire("slow")
				acquire("healthy")
			}
			time.Sleep(turns * turnTime)
			p.Release(running, err)
			for range turns {
				assert.Equal(t, "healthy", running.Tenant)
				p.Release(running, nil)
			}
			assert.Equal(t, "slow", running.Tenant, "it is not starved")
			p.Release(running, nil)
			assert.Equal(t, "healthy", running.Tenant, "they take turns again")
		})
	}
}

func BenchmarkPool(b *testing.B) {
	for _, tenants := range []int{1, 1000, 10_000} {
		b.Run(fmt.Sprintf("10000 tickets of %d tenants", tenants), func(b *testing.B) {
			for b.Loop() {
				p := New(32)
				var running []*Ticket
				for i := range 10_000 {
					ticket := &Ticket{Tenant: fmt.Sprint(i % tenants), Priority: Priority(i / tenants % 4)}
					ticket.Start = func() bool { running = append(running, ticket); return true }
					if p.Acquire(ticket) {
						running = append(running, ticket)
					}
				}
				for len(running) > 0 {
					ticket := running[0]
					running = running[1:]
					p.Release(ticket, nil)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/10_000, "µs/ticket")
		})
	}
}
