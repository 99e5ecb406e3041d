package slots_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/slots"
)

var errBroken = errors.New("broken")

func TestPoolStartsTicketsByPriority(t *testing.T) {
	p := slots.New(1)
	var started []string
	ticket := func(name string, priority slots.Priority) *slots.Ticket {
		return &slots.Ticket{Priority: priority, Start: func() bool { started = append(started, name); return true }}
	}
	first := ticket("first", slots.Background)
	require.True(t, p.Acquire(first))
	tickets := map[string]*slots.Ticket{}
	for _, next := range []struct {
		name     string
		priority slots.Priority
	}{
		{"background failing", slots.BackgroundFailing},
		{"background", slots.Background},
		{"promoted", slots.Background},
		{"canceled", slots.Foreground},
		{"foreground failing", slots.ForegroundFailing},
		{"foreground", slots.Foreground},
	} {
		tickets[next.name] = ticket(next.name, next.priority)
		require.False(t, p.Acquire(tickets[next.name]), next.name)
	}
	p.Promote(tickets["promoted"])
	assert.True(t, p.Cancel(tickets["canceled"]))
	assert.False(t, p.Cancel(tickets["canceled"]))
	nested := &slots.Ticket{Within: first}
	assert.True(t, p.Acquire(nested), "it uses the slot of first")
	p.Release(nested, nil)

	p.Release(first, nil)
	for len(started) < 5 {
		p.Release(tickets[started[len(started)-1]], nil)
	}
	assert.Equal(t, []string{"foreground", "promoted", "foreground failing", "background", "background failing"}, started)
}

func TestPoolFreesSlotAfterAllTicketsReleaseIt(t *testing.T) {
	p := slots.New(1)
	running := func() int { n, _, _ := p.Status(); return n }
	outer := &slots.Ticket{}
	require.True(t, p.Acquire(outer))
	nested := &slots.Ticket{Within: outer}
	require.True(t, p.Acquire(nested))
	innermost := &slots.Ticket{Within: nested}
	require.True(t, p.Acquire(innermost))
	started := 0
	waiting := &slots.Ticket{Start: func() bool { started++; return true }}
	require.False(t, p.Acquire(waiting))
	assert.Equal(t, 1, running())

	p.Release(outer, nil)
	late := &slots.Ticket{Within: outer, Start: func() bool { started++; return true }}
	assert.False(t, p.Acquire(late), "outer has no slot any more")
	assert.False(t, p.Share(late, outer))
	p.Release(nested, nil)
	p.Release(nested, nil)
	assert.Zero(t, started, "innermost still uses the slot")
	assert.True(t, p.Share(late, innermost))
	assert.False(t, p.Share(late, innermost), "it is not queued any more")
	p.Release(late, nil)
	p.Release(innermost, nil)
	assert.Equal(t, 1, started)
	p.Release(waiting, nil)
	assert.Zero(t, running())
}

func TestReleaseSkipsTicketsThatDoNotStart(t *testing.T) {
	p := slots.New(1)
	holder := &slots.Ticket{}
	require.True(t, p.Acquire(holder))
	for range 10_000 {
		require.False(t, p.Acquire(&slots.Ticket{Start: func() bool { return false }}))
	}
	started := false
	require.False(t, p.Acquire(&slots.Ticket{Start: func() bool { started = true; return true }}))
	p.Release(holder, nil)
	assert.True(t, started)
	running, waiting, _ := p.Status()
	assert.Equal(t, 1, running)
	assert.Zero(t, waiting)
}

// The share of a tenant can grow while all its slots are still in use.
func TestPoolStartsTicketsWhenShareGrows(t *testing.T) {
	p := slots.New(4)
	outer := &slots.Ticket{}
	require.True(t, p.Acquire(outer))
	require.True(t, p.Acquire(&slots.Ticket{Within: outer}))
	require.True(t, p.Acquire(&slots.Ticket{}))
	started := false
	require.False(t, p.Acquire(&slots.Ticket{Start: func() bool { started = true; return true }}), "half of the slots before the first answer")
	p.Release(outer, nil)
	assert.True(t, started)
	running, waiting, _ := p.Status()
	assert.Equal(t, []int{3, 0}, []int{running, waiting}, "the nested ticket still uses the slot of outer")
}

func TestPoolStartsPassedBackgroundTickets(t *testing.T) {
	type request struct {
		tenant   string
		priority slots.Priority
	}
	for _, tt := range []struct {
		name     string
		callers  request // makes the six tickets that come first
		others   []request
		position []int // index of each of the other tickets in the order of all
	}{
		{"of another tenant", request{"a", slots.Foreground}, []request{{"b", slots.Background}}, []int{3}},
		{"of the same tenant, before failing ones", request{"a", slots.ForegroundFailing}, []request{{"a", slots.Background}}, []int{3}},
		{"of the same tenant, after healthy ones", request{"a", slots.Foreground}, []request{{"a", slots.Background}}, []int{6}},
		{"one at a time", request{"a", slots.ForegroundFailing}, []request{{"b", slots.Background}, {"b", slots.Background}}, []int{3, 7}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := slots.New(1)
			running := &slots.Ticket{Tenant: "a"}
			require.True(t, p.Acquire(running))
			var started []int
			all := append(slices.Repeat([]request{tt.callers}, 6), tt.others...)
			tickets := make([]*slots.Ticket, len(all))
			for i, r := range all {
				tickets[i] = &slots.Ticket{Tenant: r.tenant, Priority: r.priority, Start: func() bool { started = append(started, i); return true }}
				require.False(t, p.Acquire(tickets[i]))
			}
			p.Release(running, nil)
			for len(started) < len(all) {
				p.Release(tickets[started[len(started)-1]], nil)
			}
			for i, position := range tt.position {
				assert.Equal(t, position, slices.Index(started, 6+i), "%v", started)
			}
		})
	}
}

func TestPoolBackgroundTicketsWaitForTheirTurn(t *testing.T) {
	p := slots.New(1)
	running := &slots.Ticket{Tenant: "a"}
	require.True(t, p.Acquire(running))
	acquire := func(tenant string, priority slots.Priority) {
		ticket := &slots.Ticket{Tenant: tenant, Priority: priority}
		ticket.Start = func() bool { running = ticket; return true }
		require.False(t, p.Acquire(ticket))
	}
	acquire("a", slots.Background)
	for range 6 {
		acquire("a", slots.ForegroundFailing)
	}
	for range 3 {
		p.Release(running, nil)
		require.Equal(t, slots.ForegroundFailing, running.Priority)
	}
	acquire("b", slots.ForegroundFailing)
	p.Release(running, nil)
	assert.Equal(t, "b", running.Tenant, "it is its turn")
	p.Release(running, nil)
	assert.Equal(t, slots.Background, running.Priority)
}

func TestPoolNewTenantsDoNotStarveOthers(t *testing.T) {
	for _, priority := range []slots.Priority{slots.Foreground, slots.Background} {
		t.Run(strconv.Itoa(int(priority)), func(t *testing.T) {
			p := slots.New(1)
			old := &slots.Ticket{Tenant: "old"}
			require.True(t, p.Acquire(old))
			p.Release(old, nil)
			running := &slots.Ticket{Tenant: "new"}
			require.True(t, p.Acquire(running))
			waiting := &slots.Ticket{Tenant: "old", Priority: priority}
			waiting.Start = func() bool { running = waiting; return true }
			require.False(t, p.Acquire(waiting))
			for i := 0; running != waiting; i++ {
				require.Less(t, i, 4, "new tenants started")
				for j := range 2 {
					ticket := &slots.Ticket{Tenant: fmt.Sprint("new ", i, j)}
					ticket.Start = func() bool { running = ticket; return true }
					require.False(t, p.Acquire(ticket))
				}
				p.Release(running, nil)
			}
		})
	}
}

func TestPoolNewTenantGoesBeforeLast(t *testing.T) {
	p := slots.New(1)
	running := &slots.Ticket{Tenant: "last"}
	require.True(t, p.Acquire(running))
	for _, tenant := range []string{"last", "new"} {
		ticket := &slots.Ticket{Tenant: tenant}
		ticket.Start = func() bool { running = ticket; return true }
		require.False(t, p.Acquire(ticket))
	}
	p.Release(running, nil)
	assert.Equal(t, "new", running.Tenant)
}

func TestPoolAdaptsToThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := slots.New(8)
		number := func() int { _, _, n := p.Status(); return n }
		once := func(err error) {
			ticket := &slots.Ticket{Priority: slots.Background}
			require.True(t, p.Acquire(ticket))
			p.Release(ticket, err)
		}
		once(errBroken)
		once(nil)
		assert.Equal(t, 8, number())
		once(errThrottled)
		once(errThrottled)
		assert.Equal(t, 4, number(), "at most once a second")
		for range 10 {
			time.Sleep(time.Second)
			once(errThrottled)
		}
		assert.Equal(t, 1, number())
		for _, answer := range []error{nil, errDenied} {
			for range 100 {
				once(answer)
			}
			assert.Equal(t, 8, number(), "after %v", answer)
			time.Sleep(time.Second)
			once(errThrottled)
			assert.Equal(t, 4, number())
		}
	})
}

func TestPoolIsSafeForConcurrentUse(t *testing.T) {
	const limit = 4
	p := slots.New(limit)
	var running atomic.Int32
	var users sync.WaitGroup
	for user := range 16 {
		users.Go(func() {
			for i := range 500 {
				started := make(chan struct{})
				ticket := &slots.Ticket{
					Tenant: strconv.Itoa(user % 3), Priority: slots.Priority(i % 4), Start: func() bool { close(started); return true },
				}
				if !p.Acquire(ticket) {
					p.Promote(ticket)
					if i%3 == 0 && p.Cancel(ticket) {
						continue
					}
					<-started
				}
				assert.LessOrEqual(t, running.Add(1), int32(limit))
				running.Add(-1)
				p.Release(ticket, []error{nil, errThrottled, errDenied, errBroken}[i%4])
			}
		})
	}
	users.Wait()
	held, waiting, _ := p.Status()
	assert.Zero(t, held)
	assert.Zero(t, waiting)
}

func TestPoolNilIsUnlimited(t *testing.T) {
	var p *slots.Pool
	ticket := &slots.Ticket{}
	assert.True(t, p.Acquire(ticket))
	assert.False(t, p.Cancel(ticket))
	p.Release(ticket, nil)
	running, waiting, number := p.Status()
	assert.Equal(t, [3]int{}, [3]int{running, waiting, number})
}
