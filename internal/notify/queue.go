// Package notify delivers values to a callback asynchronously, so that a slow
// callback never blocks the sender.
package notify

import (
	"cmp"
	"sync"
)

// DefaultCapacity is the default number of waiting values that a Queue keeps. A full
// Queue drops the oldest value.
const DefaultCapacity = 64

// Queue delivers values one at a time and in order. Its goroutine exists only while there
// are values to deliver. The zero Queue is ready for use.
type Queue[T any] struct {
	Capacity int // DefaultCapacity if 0; must not be changed after the first Put

	mu      sync.Mutex
	waiting []T
	drained chan struct{} // closed when the goroutine has delivered all values; nil if none runs
}

// Put queues v for delivery and returns at once. The goroutine of the Queue passes v to
// deliver. All calls must have the same deliver.
func (q *Queue[T]) Put(v T, deliver func(T)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == cmp.Or(q.Capacity, DefaultCapacity) {
		q.waiting = q.waiting[1:]
	}
	q.waiting = append(q.waiting, v)
	if q.drained == nil {
		q.drained = make(chan struct{})
		go q.drain(q.drained, deliver)
	}
}

// Idle returns a channel that is closed when all values put into q have been delivered.
func (q *Queue[T]) Idle() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.drained != nil {
		return q.drained
	}
	idle := make(chan struct{})
	close(idle)
	return idle
}

func (q *Queue[T]) drain(drained chan struct{}, deliver func(T)) {
	defer q.end(drained, deliver) // runs even if deliver calls runtime.Goexit
	for {
		v, ok := q.next()
		if !ok {
			return
		}
		deliver(v)
	}
}

func (q *Queue[T]) end(drained chan struct{}, deliver func(T)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.drained == drained { // deliver has called runtime.Goexit
		if len(q.waiting) > 0 {
			go q.drain(drained, deliver)
			return
		}
		q.drained = nil
	}
	close(drained)
}

func (q *Queue[T]) next() (v T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.drained, q.waiting = nil, nil // the next Put starts another goroutine
		return v, false
	}
	v, q.waiting = q.waiting[0], q.waiting[1:]
	return v, true
}
