// Package notify brings news to somebody who may be slow, without making anybody
// wait for him.
package notify

import "sync"

// Of the news that wait, the newest so many are kept.
const capacity = 64

// Queue delivers what is put into it, one at a time and in order, in a goroutine
// that lives only while there is something to deliver.
type Queue[T any] struct {
	deliver  func(T)
	capacity int

	mu      sync.Mutex
	waiting []T
	drained chan struct{} // closed when the goroutine has ended; nil where none runs
}

// NewQueue returns a Queue that calls deliver.
func NewQueue[T any](deliver func(T)) *Queue[T] { return NewQueueOf(capacity, deliver) }

// NewQueueOf returns a Queue that keeps so many news that wait.
func NewQueueOf[T any](capacity int, deliver func(T)) *Queue[T] {
	return &Queue[T]{deliver: deliver, capacity: capacity}
}

// Put queues v and returns at once.
func (q *Queue[T]) Put(v T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == q.capacity {
		q.waiting = q.waiting[1:]
	}
	q.waiting = append(q.waiting, v)
	if q.drained == nil {
		q.drained = make(chan struct{})
		go q.drain(q.drained)
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

func (q *Queue[T]) drain(drained chan struct{}) {
	defer q.end(drained) // also if deliver calls runtime.Goexit
	for {
		v, ok := q.next()
		if !ok {
			return
		}
		q.deliver(v)
	}
}

func (q *Queue[T]) end(drained chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.drained == drained { // deliver has ended the goroutine
		if len(q.waiting) > 0 {
			go q.drain(drained)
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
		q.drained = nil // whoever puts more starts another
		return v, false
	}
	v, q.waiting = q.waiting[0], q.waiting[1:]
	return v, true
}
