package cache

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// wait is the slow path of Retrieve. It starts an attempt, or waits for one, until there are
// credentials with minTTL left. It returns them or an error.
func (c *Cache) wait(ctx context.Context, minTTL time.Duration) (aws.Credentials, error) {
	var since time.Time
	holdsSlot := inSlot(ctx, c.opts.Limiter)
	creds, changed, err := c.join(holdsSlot, minTTL, false)
	for changed != nil {
		if since.IsZero() {
			since = time.Now()
		}
		select {
		case <-changed:
			creds, changed, err = c.join(holdsSlot, minTTL, true)
		case <-ctx.Done():
			c.callers.record(since, !errors.Is(ctx.Err(), context.Canceled))
			return aws.Credentials{}, c.contextEnded(ctx)
		}
	}
	var failure *Error // errors.Is would call methods of the source's error
	c.callers.record(since, errors.As(err, &failure))
	return creds, err
}

// contextEnded returns the error for a caller whose context ended while it waited. The context and
// the errors are foreign code, so c.mu is not held while their methods run.
func (c *Cache) contextEnded(ctx context.Context) error {
	timedOut := errors.Is(ctx.Err(), context.DeadlineExceeded)
	c.mu.Lock()
	s := c.state.Load()
	if timedOut && s.err != nil && !s.closed && !s.serves(c.now(), 0) {
		c.events.callerFailed(c.event)
	}
	c.mu.Unlock()
	return s.contextError(ctx)
}

// join returns credentials with minTTL left, an error, or a channel that is closed when the state
// changes. If necessary it starts or schedules an attempt. holdsSlot reports whether the caller holds
// a slot of the Limiter. waited reports whether the caller has already waited for an attempt. It
// then gets the error of that attempt instead of waiting for another.
func (c *Cache) join(holdsSlot bool, minTTL time.Duration, waited bool) (aws.Credentials, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state.Load()
	switch now := c.now(); {
	case s.closed:
		return aws.Credentials{}, nil, ErrClosed
	case s.tooShort(minTTL):
		return aws.Credentials{}, nil, errMinTTL(minTTL, s.lifetime)
	case s.serves(now, minTTL):
		s = c.recordUse(s)
		if s.due.Reached(now) {
			c.advanceLocked()
		}
		return s.creds, nil, nil
	}
	c.scheduler.demand = true
	if c.scheduler.attempt == nil && s.serves(c.now(), 0) { // but too briefly for minTTL
		c.scheduler.requested = true
	}
	c.advanceFor(holdsSlot)
	c.promote(holdsSlot)
	s = c.state.Load()
	stuck := c.scheduler.attempt != nil && c.scheduler.attempt.overdue
	running := c.scheduler.attempt != nil && !stuck
	if s.err != nil && (stuck || !s.starting()) && (!running || waited) {
		if !s.serves(c.now(), 0) {
			c.events.callerFailed(c.event)
		}
		return aws.Credentials{}, nil, s.callerError()
	}
	return aws.Credentials{}, c.scheduler.changes(), nil
}
