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

// Limiter bounds how many attempts of several Caches run at the same time: see
// [Options]. Attempts that have to wait go in this order: first those for which callers
// wait, then refreshes in the background, each in the order of their coming. Attempts of
// Caches whose last one failed hold at most half of the places, but one at least, so that
// they cannot keep the others from theirs. A source that does not return when its context
// ends has its place until it does.
//
// Their refreshes in the background, where credentials live a minute or longer, begin up to
// a second before their time, those of a second together: a process that wakes up once for
// all of them needs less time of its processor than one that wakes up for each.
//
// A source that is throttled slows all of them down: each throttled second halves the
// number of places, down to one, and every success wins a part of one back.
//
// Make it with [NewLimiter]. It is safe for concurrent use.
type Limiter struct {
	most  int
	start time.Time

	mu      sync.Mutex
	places  float64 // at present, 1 to most
	running int
	failing int // of those that run
	waiting [urgencies]list.List
	halved  time.Time
}

// urgency is in which line a ticket waits. The lines are served in this order.
type urgency int

const (
	wanted        urgency = iota // callers wait for it
	wantedFailing                // and the last attempt failed
	background
	backgroundFailing
	urgencies
)

func (u urgency) failing() bool { return u == wantedFailing || u == backgroundFailing }

// ticket is an attempt's place, or its wait for one.
type ticket struct {
	urgency urgency
	start   func()
	waits   *list.Element // nil where it does not
	free    bool          // it takes no place: whoever wants it has one, and waits
}

// maxPlaces is more than a process can use, and few enough to be counted in a float64.
const maxPlaces = 1_000_000

// NewLimiter returns a Limiter with so many places: at least one, and at most 1,000,000.
func NewLimiter(places int) *Limiter {
	places = min(max(places, 1), maxPlaces)
	return &Limiter{most: places, start: time.Now(), places: float64(places)}
}

// So often refreshes in the background begin.
const beat = time.Second

// sinceBeat returns how long before a moment to come the refreshes of its second begin.
func (l *Limiter) sinceBeat(at time.Time) time.Duration { return max(at.Sub(l.start), 0) % beat }

// LimiterStatus is how busy a [Limiter] is at one moment.
type LimiterStatus struct {
	Running int // attempts that run
	Waiting int // attempts that wait for a place
	Places  int // less than there could be while a source is throttled
}

// Status returns how busy the Limiter is. It does not block for long.
func (l *Limiter) Status() LimiterStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := LimiterStatus{Running: l.running, Places: int(l.places)}
	for i := range l.waiting {
		s.Waiting += l.waiting[i].Len()
	}
	return s
}

// enter gives a ticket its place, or lets it wait until its start is called. It says
// whether it has one.
func (l *Limiter) enter(t *ticket) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.free || l.take(t) {
		return true
	}
	t.waits = l.waiting[t.urgency].PushBack(t)
	return false
}

// take gives a ticket a place if there is one. l.mu is held.
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

// want says that callers wait for a ticket by now.
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

// leave takes a ticket out of its line. It says whether it was in one.
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

// done gives a place back, with the attempt's error, and starts those who are next.
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

// adapt changes the number of places by the outcome of an attempt.
func (l *Limiter) adapt(succeeded, throttled bool) {
	switch now := time.Now(); {
	case succeeded:
		l.places = min(l.places+1/l.places, float64(l.most))
	case throttled && now.Sub(l.halved).Abs() >= time.Second:
		l.places, l.halved = max(l.places/2, 1), now
	}
}

// isThrottled reports whether err is a service's answer that it is called too often. The
// methods of a source's error are foreign code: one that panics does not count.
func isThrottled(err error) (throttled bool) {
	defer func() { _ = recover() }()
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	_, throttled = retry.DefaultThrottleErrorCodes[api.ErrorCode()]
	return throttled
}

// placeKey is the key under which the context of an attempt holds its Limiter.
type placeKey struct{}

// placed returns the context of an attempt with a place.
func placed(l *Limiter) context.Context {
	if l == nil {
		return context.Background()
	}
	return context.WithValue(context.Background(), placeKey{}, l)
}

// hasPlace says that a caller is the source of another Cache, in an attempt that has a
// place of the Limiter's: he waits in it, so that what he waits for can take its turn.
func hasPlace(ctx context.Context, l *Limiter) bool {
	return l != nil && ctx.Value(placeKey{}) == l
}

// hurry sees to it that an attempt which waits for its place goes before those for which
// nobody waits; and at once, for a caller who has one already. c.mu is held.
func (c *Cache) hurry(holdsSlot bool) {
	attempt := c.plan.call
	switch {
	case attempt == nil || !attempt.waits():
		return
	case !holdsSlot:
		c.opts.Limiter.want(attempt.ticket)
	case c.opts.Limiter.leave(attempt.ticket):
		attempt.ticket.free = true
		attempt.began = c.now()
		c.run(attempt)
	}
}
