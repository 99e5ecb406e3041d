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
	most  int
	start time.Time

	mu      sync.Mutex
	places  float64 // currently, from 1 to most
	running int
	failing int // running attempts of Caches whose last attempt failed
	waiting [urgencies]list.List
	halved  time.Time
}

// urgency is the priority of a ticket. There is one queue for each, served in this order.
type urgency int

const (
	wanted        urgency = iota // callers wait for the attempt
	wantedFailing                // callers wait, and the last attempt failed
	background
	backgroundFailing
	urgencies
)

func (u urgency) failing() bool { return u == wantedFailing || u == backgroundFailing }

// ticket is the slot of an attempt, or a request for one.
type ticket struct {
	urgency urgency
	start   func()
	waits   *list.Element // nil if it is not queued
	free    bool          // it needs no slot, because the waiting caller holds one
}

// maxPlaces exceeds what a process can use. Up to there a float64 counts exactly.
const maxPlaces = 1_000_000

// NewLimiter returns a Limiter with the given number of slots, from 1 to 1,000,000.
func NewLimiter(places int) *Limiter {
	places = min(max(places, 1), maxPlaces)
	return &Limiter{most: places, start: time.Now(), places: float64(places)}
}

// beat is the batch interval: how often background refreshes start.
const beat = time.Second

// sinceBeat returns how long before at the batch of its second starts.
func (l *Limiter) sinceBeat(at time.Time) time.Duration { return max(at.Sub(l.start), 0) % beat }

// LimiterStatus is the status of a [Limiter] at one moment.
type LimiterStatus struct {
	Running int // running attempts
	Waiting int // attempts that wait for a slot
	Places  int // current number of slots; reduced while sources are throttled
}

// Status returns the current status. It does not block for long.
func (l *Limiter) Status() LimiterStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := LimiterStatus{Running: l.running, Places: int(l.places)}
	for i := range l.waiting {
		s.Waiting += l.waiting[i].Len()
	}
	return s
}

// enter acquires a slot for a ticket and reports whether it succeeded. Otherwise the ticket is
// queued, and its start function is called once it has a slot.
func (l *Limiter) enter(t *ticket) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.free || l.take(t) {
		return true
	}
	t.waits = l.waiting[t.urgency].PushBack(t)
	return false
}

// take acquires a slot for a ticket if one is available. l.mu is held.
func (l *Limiter) take(t *ticket) bool {
	places := int(l.places)
	if l.running >= places || t.urgency.failing() && l.failing >= max(places/2, 1) {
		return false
	}
	l.running++
	if t.urgency.failing() {
		l.failing++
	}
	return true
}

// want promotes a queued ticket, because callers wait for it now.
func (l *Limiter) want(t *ticket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.waits == nil || t.urgency < background {
		return
	}
	l.waiting[t.urgency].Remove(t.waits)
	t.urgency -= background
	t.waits = l.waiting[t.urgency].PushBack(t)
}

// leave cancels a queued ticket and reports whether it was queued.
func (l *Limiter) leave(t *ticket) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.waits == nil {
		return false
	}
	l.waiting[t.urgency].Remove(t.waits)
	t.waits = nil
	return true
}

// done releases the slot of a ticket and starts the next attempts. err is the attempt's error.
func (l *Limiter) done(t *ticket, err error) {
	if t.free {
		return
	}
	for _, next := range l.giveBack(t, err == nil, isThrottled(err)) {
		next.start()
	}
}

func (l *Limiter) giveBack(t *ticket, succeeded, throttled bool) (next []*ticket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	if t.urgency.failing() {
		l.failing--
	}
	l.adapt(succeeded, throttled)
	for u := range l.waiting {
		for front := l.waiting[u].Front(); front != nil; front = l.waiting[u].Front() {
			waiting := front.Value.(*ticket)
			if !l.take(waiting) {
				break
			}
			l.waiting[u].Remove(front)
			waiting.waits = nil
			next = append(next, waiting)
		}
	}
	return next
}

// adapt adjusts the number of slots to the outcome of an attempt.
func (l *Limiter) adapt(succeeded, throttled bool) {
	switch now := time.Now(); {
	case succeeded:
		l.places = min(l.places+1/l.places, float64(l.most))
	case throttled && now.Sub(l.halved).Abs() >= time.Second:
		l.places, l.halved = max(l.places/2, 1), now
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

// placeKey is the context key for the Limiter in whose slot an attempt runs.
type placeKey struct{}

// placed returns the context of an attempt that holds a slot of l, which may be nil.
func placed(l *Limiter) context.Context {
	if l == nil {
		return context.Background()
	}
	return context.WithValue(context.Background(), placeKey{}, l)
}

// hasPlace reports whether ctx is that of an attempt that holds a slot of l. Its source then calls
// another Cache. That Cache's attempt reuses the slot, because waiting for a second one could
// deadlock.
func hasPlace(ctx context.Context, l *Limiter) bool {
	return l != nil && ctx.Value(placeKey{}) == l
}

// hurry promotes an attempt that waits for its slot, since a caller waits for it now. If the caller
// holds a slot already, the attempt starts immediately. c.mu is held.
func (c *Cache) hurry(holdsSlot bool) {
	a := c.scheduler.attempt
	switch {
	case a == nil || !a.waiting():
		return
	case !holdsSlot:
		c.opts.Limiter.want(a.ticket)
	case c.opts.Limiter.leave(a.ticket):
		a.ticket.free = true
		a.began = c.now()
		c.run(a)
	}
}
