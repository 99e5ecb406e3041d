package cache

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// wait is Retrieve where there is more to do than to return credentials: an attempt
// to begin, or to wait for until there are some with minTTL left. It returns them,
// or why there are none.
func (c *Cache) wait(ctx context.Context, minTTL time.Duration) (aws.Credentials, error) {
	var since time.Time
	placed := hasPlace(ctx, c.opts.Limiter)
	creds, changed, err := c.join(placed, minTTL, false)
	for changed != nil {
		if since.IsZero() {
			since = time.Now()
		}
		select {
		case <-changed:
			creds, changed, err = c.join(placed, minTTL, true)
		case <-ctx.Done():
			c.callers.left(since, !errors.Is(ctx.Err(), context.Canceled))
			return aws.Credentials{}, c.leave(ctx)
		}
	}
	var failure *Error // and not errors.Is, which calls methods of the source's error
	c.callers.left(since, errors.As(err, &failure))
	return creds, err
}

// leave returns the error of a caller whose context ended while it waited. The context and
// the errors are foreign code: c.mu is not held while their methods run.
func (c *Cache) leave(ctx context.Context) error {
	timedOut := errors.Is(ctx.Err(), context.DeadlineExceeded)
	c.mu.Lock()
	s := c.state.Load()
	if timedOut && s.err != nil && !s.closed && !s.serves(c.now(), 0) {
		c.events.hurts(c.event)
	}
	c.mu.Unlock()
	return s.interrupted(ctx)
}

// join returns what there is for a caller who needs minTTL left: credentials, an
// error, or else a channel that is closed when there is news. It sees to it that an
// attempt is under way or scheduled. placed reports whether the caller waits in a place
// of the Limiter's. waited reports whether it has seen an attempt end: it then takes that
// attempt's error rather than wait for another.
func (c *Cache) join(placed bool, minTTL time.Duration, waited bool) (aws.Credentials, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state.Load()
	switch now := c.now(); {
	case s.closed:
		return aws.Credentials{}, nil, ErrClosed
	case s.tooShort(minTTL):
		return aws.Credentials{}, nil, errMinTTL(minTTL, s.life)
	case s.serves(now, minTTL):
		s = c.noteUse(s)
		if s.due.Reached(now) {
			c.advanceLocked()
		}
		return s.creds, nil, nil
	}
	c.plan.demand = true
	if c.plan.call == nil && s.serves(c.now(), 0) { // but not for as long as is needed
		c.plan.asked = true
	}
	c.advanceFor(placed)
	c.hurry(placed)
	s = c.state.Load()
	stuck := c.plan.call != nil && c.plan.call.overdue
	running := c.plan.call != nil && !stuck
	if s.err != nil && (stuck || !s.starting()) && (!running || waited) {
		if !s.serves(c.now(), 0) {
			c.events.hurts(c.event)
		}
		return aws.Credentials{}, nil, s.failure()
	}
	return aws.Credentials{}, c.plan.changes(), nil
}
