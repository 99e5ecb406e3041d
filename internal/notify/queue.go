// Package notify delivers values to a callback asynchronously, so that a slow
// callback never blocks the sender.
package notify

import (
	"cmp"
	"math"
	"sync"
)

// DefaultCapacity is the default maximum number of waiting values in a Queue. A full Queue
// drops the oldest value.
const DefaultCapacity = 64

// Queue delivers values one at a time and in order. Its goroutine exists only while there
// are values to deliver. The zero Queue is ready for use.
type Queue[T any] struct {
	Capacity int // DefaultCapacity if 0; must not be changed after the first Put

	mu       sync.Mutex
	run      *run[T] // nil if there is nothing to deliver
	reserved int32   // see Reserve
	closed   bool    // see Close
}

// run is the state of a Queue while its goroutine runs.
type run[T any] struct {
	waiting []T
	drained chan struct{} // closed when the goroutine has delivered all values
}

// Put queues v for delivery and returns immediately. The goroutine of the Queue calls
// deliver with v. All calls must pass the same deliver function.
func (q *Queue[T]) Put(v T, deliver func(T)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	if q.run == nil {
		q.run = &run[T]{drained: make(chan struct{})}
		go q.drain(q.run, deliver)
	}
	q.run.waiting = append(q.run.waiting, v)
	excess := len(q.run.waiting) - cmp.Or(q.Capacity, DefaultCapacity) - int(q.reserved)
	q.run.waiting = q.run.waiting[max(excess, 0):]
}

// Reserve adds n to the Capacity, so that the sender can put n values at once without dropping any. It
// replaces earlier reservations.
func (q *Queue[T]) Reserve(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reserved = int32(min(n, math.MaxInt32))
}

// Idle returns a channel that is closed when all values put into q have been delivered.
func (q *Queue[T]) Idle() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.run != nil {
		return q.run.drained
	}
	idle := make(chan struct{})
	close(idle)
	return idle
}

// Close makes later calls of Put no-ops. Values that are already waiting are delivered.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

func (q *Queue[T]) drain(r *run[T], deliver func(T)) {
	defer q.end(r, deliver) // runs even if deliver calls runtime.Goexit
	for {
		v, ok := q.next()
		if !ok {
			return
		}
		deliver(v)
	}
}

func (q *Queue[T]) end(r *run[T], deliver func(T)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.run == r { // deliver called runtime.Goexit
		if len(r.waiting) > 0 {
			go q.drain(r, deliver)
			return
		}
		q.run = nil
	}
	close(r.drained)
}

func (q *Queue[T]) next() (v T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.run.waiting) == 0 {
		q.run = nil // the next Put starts another goroutine
		return v, false
	}
	v, q.run.waiting = q.run.waiting[0], q.run.waiting[1:]
	return v, true
}
