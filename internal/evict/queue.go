package evict

import "container/heap"

// queue is a priority queue whose items store their own index.
type queue[T any] struct {
	items []T
	less  func(a, b T) bool
	place func(T) *int32 // where an item stores its index
}

// first returns the first item, or the zero value if there is none.
func (q *queue[T]) first() (item T) {
	if len(q.items) > 0 {
		item = q.items[0]
	}
	return item
}

func (q *queue[T]) add(item T)    { heap.Push(q, item) }
func (q *queue[T]) remove(item T) { heap.Remove(q, int(*q.place(item))) }
func (q *queue[T]) fix(item T)    { heap.Fix(q, int(*q.place(item))) }

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (q *queue[T]) Len() int           { return len(q.items) }
func (q *queue[T]) Less(i, j int) bool { return q.less(q.items[i], q.items[j]) }

func (q *queue[T]) Swap(i, j int) {
	q.items[i], q.items[j] = q.items[j], q.items[i]
	*q.place(q.items[i]), *q.place(q.items[j]) = int32(i), int32(j)
}

func (q *queue[T]) Push(item any) {
	*q.place(item.(T)) = int32(len(q.items))
	q.items = append(q.items, item.(T))
}

func (q *queue[T]) Pop() any {
	last := len(q.items) - 1
	item := q.items[last]
	clear(q.items[last:])
	q.items = q.items[:last]
	return item
}
