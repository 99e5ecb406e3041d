package cache

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// Limiter bounds how many attempts of several Caches run at the same time: see [Options]. Each
// attempt needs a slot. Attempts with waiting callers acquire a slot before background refreshes,
// otherwise in first-in, first-out order. Attempts of Caches whose last attempt failed hold at most
// half of the slots, but at least one, so that they cannot block healthy Caches. An attempt holds
// its slot until its source returns, even if that is after its context has ended.
//
// Background refreshes of credentials with a lifetime of a minute or more start up to a second
// early, in batches once a second. A process that wakes up once for a batch uses less CPU time than
// one that wakes up for each refresh.
//
// A throttled attempt slows down all Caches: the number of slots is halved, at most once a second
// and down to one. Each success restores a part of a slot.
//
// Use [NewLimiter] to create a Limiter. It is safe for concurrent use.
type Limiter struct {
	limit int
	start time.Time

	mu         sync.Mutex
	slots      float64 // currently, from 1 to limit
	running    int
	failing    int // running attempts of Caches whose last attempt failed
	waiting    [priorities]list.List
	lastHalved time.Time
}

// priority is the order in which queued tickets acquire a slot. There is a queue for each.
type priority int

const (
	foreground        priority = iota // callers wait for the attempt
	foregroundFailing                 // callers wait, and the last attempt failed
	background
	backgroundFailing
	priorities
)

func (p priority) failing() bool { return p == foregroundFailing || p == backgroundFailing }

// ticket is the slot of an attempt, or a request for one.
type ticket struct {
	priority priority
	start    func()
	element  *list.Element // nil if it is not queued
	nested   bool          // it needs no slot, because the waiting caller holds one
}

// maxSlots exceeds what a process can use. Up to there a float64 counts exactly.
const maxSlots = 1_000_000

// NewLimiter returns a Limiter with the given number of slots, from 1 to 1,000,000.
func NewLimiter(places int) *Limiter {
	places = min(max(places, 1), maxSlots)
	return &Limiter{limit: places, start: time.Now(), slots: float64(places)}
}

// batchInterval is how often background refreshes start.
const batchInterval = time.Second

// sinceBatch returns how long before at the batch of its second starts.
func (l *Limiter) sinceBatch(at time.Time) time.Duration {
	return max(at.Sub(l.start), 0) % batchInterval
}

// LimiterStatus is the status of a [Limiter] at one moment.
type LimiterStatus struct {
	Running int // running attempts
	Waiting int // attempts that wait for a slot
	Slots   int // current number of slots; reduced while sources are throttled
}

// Status returns the current status. It does not block for long.
func (l *Limiter) Status() LimiterStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := LimiterStatus{Running: l.running, Slots: int(l.slots)}
	for i := range l.waiting {
		s.Waiting += l.waiting[i].Len()
	}
	return s
}

// acquire acquires a slot for a ticket and reports whether it succeeded. Otherwise the ticket is
// queued, and its start function is called once it has a slot. A nil Limiter has no bound.
func (l *Limiter) acquire(t *ticket) bool {
	if l == nil || t.nested {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acquireLocked(t) {
		return true
	}
	t.element = l.waiting[t.priority].PushBack(t)
	return false
}

// acquireLocked acquires a slot for a ticket if one is available. l.mu is held.
func (l *Limiter) acquireLocked(t *ticket) bool {
	slots := int(l.slots)
	if l.running >= slots || t.priority.failing() && l.failing >= max(slots/2, 1) {
		return false
	}
	l.running++
	if t.priority.failing() {
		l.failing++
	}
	return true
}

// promote promotes a queued ticket, because callers wait for it now.
func (l *Limiter) promote(t *ticket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.element == nil || t.priority < background {
		return
	}
	l.waiting[t.priority].Remove(t.element)
	t.priority -= background
	t.element = l.waiting[t.priority].PushBack(t)
}

// cancel cancels a queued ticket and reports whether it was queued.
func (l *Limiter) cancel(t *ticket) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.element == nil {
		return false
	}
	l.waiting[t.priority].Remove(t.element)
	t.element = nil
	return true
}

// release releases the slot of a ticket and starts the next attempts. err is the attempt's error.
func (l *Limiter) release(t *ticket, err error) {
	if l == nil || t.nested {
		return
	}
	for _, next := range l.releaseSlot(t, err == nil, isThrottled(err)) {
		next.start()
	}
}

// releaseSlot releases the slot of a ticket and returns the queued tickets that acquired one instead.
func (l *Limiter) releaseSlot(t *ticket, succeeded, throttled bool) (next []*ticket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	if t.priority.failing() {
		l.failing--
	}
	l.adapt(succeeded, throttled)
	for p := range l.waiting {
		for front := l.waiting[p].Front(); front != nil; front = l.waiting[p].Front() {
			waiting := front.Value.(*ticket)
			if !l.acquireLocked(waiting) {
				break
			}
			l.waiting[p].Remove(front)
			waiting.element = nil
			next = append(next, waiting)
		}
	}
	return next
}

// adapt adjusts the number of slots to the outcome of an attempt.
func (l *Limiter) adapt(succeeded, throttled bool) {
	switch now := time.Now(); {
	case succeeded:
		l.slots = min(l.slots+1/l.slots, float64(l.limit))
	case throttled && now.Sub(l.lastHalved).Abs() >= time.Second:
		l.slots, l.lastHalved = max(l.slots/2, 1), now
	}
}

// isThrottled reports whether err is a throttling error of a service. Methods of the source's error
// are foreign code. If one panics, the error does not count as throttling.
func isThrottled(err error) (throttled bool) {
	defer func() { _ = recover() }()
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	_, throttled = retry.DefaultThrottleErrorCodes[api.ErrorCode()]
	return throttled
}

// slotKey is the context key for the Limiter in whose slot an attempt runs.
type slotKey struct{}

// slotContext returns the context of an attempt that holds a slot of l, which may be nil.
func slotContext(l *Limiter) context.Context {
	if l == nil {
		return context.Background()
	}
	return context.WithValue(context.Background(), slotKey{}, l)
}

// inSlot reports whether ctx is that of an attempt that holds a slot of l. Its source then calls
// another Cache. That Cache's attempt reuses the slot, because waiting for a second one could
// deadlock.
func inSlot(ctx context.Context, l *Limiter) bool {
	return l != nil && ctx.Value(slotKey{}) == l
}

// promote promotes an attempt that waits for its slot, since a caller waits for it now. If the caller
// holds a slot already, the attempt starts immediately. c.mu is held.
func (c *Cache) promote(holdsSlot bool) {
	a := c.scheduler.attempt
	switch {
	case a == nil || a.progress != queued:
		return
	case !holdsSlot:
		c.opts.Limiter.promote(a.ticket)
	case c.opts.Limiter.cancel(a.ticket):
		a.ticket.nested = true
		a.began = c.now()
		c.run(a)
	}
}
