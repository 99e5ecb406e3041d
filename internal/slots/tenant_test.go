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
	synctest.Test(t, func(t *testing.T) {
		p := New(4)
		attempt := func(d time.Duration, err error) {
			ticket := &Ticket{}
			p.Acquire(ticket)
			time.Sleep(d)
			p.Release(ticket, err)
		}
		share := func() int { return p.share(p.tenants[""]) }
		refused := errors.New("refused")
		attempt(minSlow, nil)
		assert.Equal(t, 2, share(), "the first was slow")
		time.Sleep(maxDoubt)
		attempt(0, nil)
		attempt(minSlow-1, refused)
		attempt(minSlow-1, refused)
		assert.Equal(t, 4, share(), "they were not slow")
		first, second := &Ticket{}, &Ticket{}
		p.Acquire(first)
		p.Acquire(second)
		time.Sleep(minSlow)
		p.Release(first, refused)
		p.Release(second, refused)
		assert.Equal(t, 4, share(), "they were slow at the same time")
		for _, err := range []error{refused, nil} {
			time.Sleep(maxDoubt - 2*minSlow)
			attempt(minSlow, err)
			assert.Equal(t, 2, share(), "another was slow")
			time.Sleep(maxDoubt - minSlow)
			attempt(minSlow-1, nil)
			assert.Equal(t, 2, share(), "others may still be slow")
			attempt(1, nil)
			assert.Equal(t, 4, share())
			attempt(minSlow, err)
			assert.Equal(t, 4, share(), "only one was slow")
		}
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
