package notify_test

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/notify"
)

// queue is a Queue with its callback.
type queue[T any] struct {
	notify.Queue[T]
	deliver func(T)
}

func newQueue[T any](deliver func(T)) *queue[T] { return &queue[T]{deliver: deliver} }

func (q *queue[T]) Put(v T) { q.Queue.Put(v, q.deliver) }

// record returns a callback that takes the given time per call, and a function that returns
// the values delivered so far.
func record(took time.Duration) (deliver func(int), got func() []int) {
	var mu sync.Mutex
	var all []int
	return func(v int) {
			time.Sleep(took)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, v)
		}, func() []int {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(all)
		}
}

// numbers returns the numbers from, from+1, …, to.
func numbers(from, to int) []int {
	var all []int
	for i := from; i <= to; i++ {
		all = append(all, i)
	}
	return all
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestQueueReserveMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deliver, got := record(time.Second)
		q := newQueue(deliver)
		q.Put(0)
		synctest.Wait() // 0 is being delivered
		q.Reserve(100)
		for i := range 200 {
			q.Put(1 + i)
		}
		<-q.Idle()
		assert.Equal(t, append([]int{0}, numbers(37, 200)...), got(), "the newest 164")
		q.Put(201)
		synctest.Wait()
		q.Reserve(0)
		for i := range 100 {
			q.Put(202 + i)
		}
		<-q.Idle()
		assert.Equal(t, numbers(238, 301), got()[166:], "the newest 64")
	})
}

func TestQueueDeliversInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deliver, got := record(time.Second)
		q := newQueue(deliver)
		for i := range 500 {
			q.Put(i)
			time.Sleep(900 * time.Millisecond) // slightly faster than delivery
		}
		<-q.Idle()
		assert.Equal(t, numbers(0, 499), got())
	})
}

func TestQueuePutNeverBlocksAndKeepsNewest64(t *testing.T) {
	for _, tt := range []struct {
		name string
		put  int // number of values put while the first, 0, is being delivered
		want []int
	}{
		{"as many as there is room for", 64, numbers(0, 64)},
		{"one more", 65, append([]int{0}, numbers(2, 65)...)},
		{"many more", 1000, append([]int{0}, numbers(937, 1000)...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				deliver, got := record(time.Hour)
				q := newQueue(deliver)
				start := time.Now()
				q.Put(0)
				synctest.Wait()
				for i := range tt.put {
					q.Put(i + 1)
				}
				assert.Zero(t, time.Since(start))
				<-q.Idle()
				assert.Equal(t, tt.want, got())
			})
		})
	}
}

func TestQueueIdleReportsDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deliver, got := record(time.Second)
		q := newQueue(deliver)
		assert.True(t, isClosed(q.Idle()), "nothing has been put")

		q.Put(1)
		idle := q.Idle()
		q.Put(2) // after the call of Idle, but before the channel is closed
		time.Sleep(1500 * time.Millisecond)
		assert.False(t, isClosed(idle))
		start := time.Now()
		<-idle
		assert.Equal(t, 500*time.Millisecond, time.Since(start))
		assert.Equal(t, numbers(1, 2), got())
		assert.True(t, isClosed(q.Idle()))

		q.Put(3)
		assert.True(t, isClosed(idle), "the old channel stays closed")
		assert.False(t, isClosed(q.Idle()))
		<-q.Idle()
		assert.Equal(t, numbers(1, 3), got())
	})
}

// delivering returns the total number of goroutines of all queues.
func delivering() int {
	synctest.Wait()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return strings.Count(string(stacks), "notify.(*Queue[...]).drain(")
}

func TestQueueDeliversOnlyWaitingValuesAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deliver, got := record(time.Second)
		q := newQueue(deliver)
		q.Put(1)
		q.Put(2)
		q.Close()
		q.Put(3)
		<-q.Idle()
		q.Put(4)
		synctest.Wait()
		assert.Equal(t, []int{1, 2}, got())
		assert.True(t, isClosed(q.Idle()))
	})
}

func TestQueueRunsGoroutineOnlyDuringDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queues := make([]*queue[int], 100)
		for i := range queues {
			deliver, _ := record(time.Second)
			queues[i] = newQueue(deliver)
		}
		assert.Zero(t, delivering())
		for range 3 {
			for _, q := range queues {
				q.Put(1)
				q.Put(2)
			}
			assert.Equal(t, len(queues), delivering(), "one for each")
			time.Sleep(2 * time.Second)
			synctest.Wait()
			assert.Zero(t, delivering())
		}
	})
}

func TestQueueAllowsPutDuringDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		var q *queue[int]
		q = newQueue(func(v int) {
			got = append(got, v)
			if v < 10 {
				q.Put(v + 1)
			}
		})
		q.Put(1)
		<-q.Idle()
		assert.Equal(t, numbers(1, 10), got)
	})
}

func TestQueueAllowsConcurrentPuts(t *testing.T) {
	const producers, each = 8, 5000
	type item struct{ producer, number int }
	var running, delivered atomic.Int32
	last := make([]int, producers) // needs no lock, because deliveries do not overlap
	q := newQueue(func(v item) {
		assert.EqualValues(t, 1, running.Add(1), "one at a time")
		assert.Greater(t, v.number, last[v.producer], "in order")
		last[v.producer] = v.number
		delivered.Add(1)
		running.Add(-1)
	})
	var wg sync.WaitGroup
	for producer := range producers {
		wg.Go(func() {
			for i := range each {
				q.Put(item{producer, i + 1})
				<-time.After(time.Duration(i%50/49) * time.Microsecond) // lets the queue become empty now and then
			}
		})
	}
	wg.Wait()
	q.Put(item{0, each + 1})
	<-q.Idle()
	assert.Equal(t, each+1, last[0], "the newest is delivered")
	require.LessOrEqual(t, delivered.Load(), int32(producers*each+1))
	assert.GreaterOrEqual(t, delivered.Load(), int32(64))
}

func TestQueueSurvivesGoexitDuringDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		q := newQueue(func(v int) {
			got = append(got, v)
			runtime.Goexit() // as t.FailNow does
		})
		q.Put(1)
		q.Put(2)
		<-q.Idle()
		assert.Equal(t, []int{1, 2}, got)
		q.Put(3)
		<-q.Idle()
		assert.Equal(t, []int{1, 2, 3}, got)
	})
}
