// Package notify brings news to somebody who may be slow, without making anybody
// wait for him.
package notify

import (
	"cmp"
	"sync"
)

// DefaultCapacity is how many news a Queue keeps that wait, the newest ones.
const DefaultCapacity = 64

// Queue delivers what is put into it, one at a time and in order, in a goroutine
// that lives only while there is something to deliver. The zero Queue is ready for use.
type Queue[T any] struct {
	Capacity int // DefaultCapacity if 0; to be set before use

	mu      sync.Mutex
	waiting []T
	drained chan struct{} // closed when the goroutine has ended; nil where none runs
}

// Put queues v, to be given to deliver, and returns at once. Every call has to have the
// same deliver.
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

// Idle returns a channel that is closed when all that was put has been delivered.
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
	defer q.end(drained, deliver) // also if deliver calls runtime.Goexit
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
	if q.drained == drained { // deliver has ended the goroutine
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
		q.drained, q.waiting = nil, nil // whoever puts more starts another
		return v, false
	}
	v, q.waiting = q.waiting[0], q.waiting[1:]
	return v, true
}
