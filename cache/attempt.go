package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/schedule"
)

// A source whose context has ended gets this long to return an error that says
// more than that the time was up.
const grace = 100 * time.Millisecond

// call is one call of the source: one attempt.
type call struct {
	number   int
	began    schedule.Moment
	cancel   context.CancelFunc
	limit    *time.Timer
	overdue  bool          // it counted as failed before it returned
	returned chan struct{} // closed when the source has returned
}

// begin starts an attempt in a goroutine of its own, which ends with the source's
// call. c.mu is held.
func (c *Cache) begin(now schedule.Moment) {
	ctx, cancel := context.WithTimeout(context.Background(), c.opts.AttemptTimeout)
	c.plan.rest()
	c.plan.begun++
	c.plan.demand, c.plan.asked, c.plan.woken = false, false, false
	c.plan.spaced = now.Add(schedule.Spacing)
	if c.state.Load().err == ErrRefused { //nolint:errorlint // the very state that Invalidate makes
		c.plan.refusable = now.Add(schedule.RefusalSpacing)
	}
	attempt := &call{number: c.plan.begun, began: now, cancel: cancel, returned: make(chan struct{})}
	attempt.limit = time.AfterFunc(c.opts.AttemptTimeout+grace, func() { c.expire(attempt) })
	c.plan.call = attempt
	c.store(c.state.Load().waits(schedule.Never())) // no Retrieve need ask while it runs
	go c.ask(ctx, attempt)
}

// ask calls the source. A panic in it, and a runtime.Goexit such as t.FailNow's,
// ends the attempt with an error.
func (c *Cache) ask(ctx context.Context, attempt *call) {
	var creds aws.Credentials
	err := errSourceExited
	permanent := false
	defer close(attempt.returned)
	defer attempt.cancel()
	defer func() { c.end(attempt, creds, err, permanent) }()
	defer func() {
		if r := recover(); r != nil {
			err = errPanic(r)
		}
		permanent = c.permanent(err)
	}()
	creds, err = c.source.Retrieve(ctx)
}

// permanent asks the Options of an error. It must not be called with c.mu held: the
// answer is other people's code.
func (c *Cache) permanent(err error) bool {
	defer func() { _ = recover() }()
	return err != nil && c.opts.Permanent(err)
}

// end takes the result of an attempt whose source has returned.
func (c *Cache) end(attempt *call, creds aws.Credentials, err error, permanent bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	attempt.limit.Stop()
	c.plan.call = nil
	s := c.state.Load()
	if s.closed {
		return
	}
	now := c.now()
	var next *snapshot
	switch {
	case err != nil:
	case creds.HasKeys() && creds.AccessKeyID == c.plan.refused:
		err = errRefusedAgain
	default:
		next, err = s.fresh(creds, now)
	}
	switch {
	case err == nil:
		c.settle(attempt, next.refreshWithin(c.plan.minTTLs.of(next.life), rand.Float64()), now)
	case !attempt.overdue:
		c.fail(attempt, err, permanent, now)
	default:
		c.advanceLocked()
	}
}

// expire counts an attempt as failed whose source has not returned in time. What it
// returns later still counts if it is good.
func (c *Cache) expire(attempt *call) {
	err := fmt.Errorf("cache: the source did not return within %v: %w", c.opts.AttemptTimeout, context.DeadlineExceeded)
	permanent := c.permanent(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.plan.call != attempt || c.state.Load().closed {
		return
	}
	attempt.overdue = true
	c.fail(attempt, err, permanent, c.now())
}

// fail settles an attempt that failed. c.mu is held.
func (c *Cache) fail(attempt *call, err error, permanent bool, now schedule.Moment) {
	s := c.state.Load().failed(err, permanent)
	c.plan.failed(s, now)
	c.settle(attempt, s, now)
}

// settle makes the outcome of an attempt known to everybody, after it has seen to
// the next one. c.mu is held.
func (c *Cache) settle(attempt *call, s *snapshot, now schedule.Moment) {
	c.plan.ended = attempt.number
	c.store(s)
	c.advanceLocked()
	c.plan.announce()
	event := c.event()
	event.Took = now.Elapsed - attempt.began.Elapsed
	c.events.put(event)
}
