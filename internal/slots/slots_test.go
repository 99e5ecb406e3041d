package slots_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/slots"
)

func TestPoolStartsTicketsByPriority(t *testing.T) {
	p := slots.New(1)
	var started []string
	ticket := func(name string, priority slots.Priority) *slots.Ticket {
		return &slots.Ticket{Priority: priority, Start: func() { started = append(started, name) }}
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
	assert.True(t, p.Acquire(&slots.Ticket{Nested: true}), "it needs no slot")

	p.Release(first, nil)
	for len(started) < 5 {
		p.Release(tickets[started[len(started)-1]], nil)
	}
	assert.Equal(t, []string{"foreground", "promoted", "foreground failing", "background", "background failing"}, started)
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
		throttled := &smithy.GenericAPIError{Code: "Throttling"}
		once(errors.New("broken"))
		assert.Equal(t, 8, number())
		once(throttled)
		once(throttled)
		assert.Equal(t, 4, number(), "at most once a second")
		for range 10 {
			time.Sleep(time.Second)
			once(throttled)
		}
		assert.Equal(t, 1, number())
		for _, answer := range []error{nil, &smithy.GenericAPIError{Code: "AccessDenied"}} {
			for range 100 {
				once(answer)
			}
			assert.Equal(t, 8, number(), "after %v", answer)
			time.Sleep(time.Second)
			once(throttled)
			assert.Equal(t, 4, number())
		}
	})
}

func TestPoolWithoutBound(t *testing.T) {
	var p *slots.Pool
	ticket := &slots.Ticket{}
	assert.True(t, p.Acquire(ticket))
	assert.False(t, p.Cancel(ticket))
	p.Release(ticket, nil)
}
