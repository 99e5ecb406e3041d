package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/schedule"
)

// A source whose context has ended gets this long to return an error that says
// more than that the time was up.
const grace = 100 * time.Millisecond

// leastReplacement is the shortest lifetime of credentials that replace rejected ones which live
// longer.
const leastReplacement = time.Minute

// call is one call of the source: one attempt.
type call struct {
	number   int
	began    schedule.Moment
	ticket   *ticket            // nil without a Limiter
	cancel   context.CancelFunc // nil while it waits for its place
	limit    *time.Timer
	overdue  bool          // it counted as failed before it returned
	rejected bool          // a service rejected the credentials that are served
	replaces string        // access key ID of the credentials that a planned refresh replaces
	returned chan struct{} // closed when the source has returned, or is not called
}

// waits says that an attempt has not got its place yet.
func (a *call) waits() bool { return a.ticket != nil && a.cancel == nil }

// start starts an attempt, or lets it wait for its slot. c.mu is held.
func (c *Cache) start(now schedule.Moment, holdsSlot bool) {
	c.plan.stopTimer()
	c.plan.begun++
	c.plan.demand, c.plan.asked, c.plan.woken = false, false, false
	c.plan.spaced = now.Add(schedule.Spacing)
	if c.state.Load().err == ErrRefused { //nolint:errorlint // the very state that Invalidate makes
		c.plan.troubles().refusable = now.Add(schedule.RejectionSpacing)
	}
	attempt := &call{number: c.plan.begun, began: now, returned: make(chan struct{})}
	if s := c.state.Load(); s.failures == 0 && s.serves(now, 0) {
		attempt.replaces = s.creds.AccessKeyID
	}
	attempt.rejected = c.plan.rejected
	c.plan.rejected = false
	c.plan.call = attempt
	c.store(c.state.Load().waits(schedule.Never())) // no Retrieve need ask while it runs
	if c.opts.Limiter != nil {
		attempt.ticket = c.ticket(attempt, holdsSlot)
		if !c.opts.Limiter.enter(attempt.ticket) {
			c.plan.announce() // to a caller who waits in a place of his own: see hurry
			return
		}
	}
	c.run(attempt)
}

// ticket is what an attempt asks the Limiter for a place with: in the background, until a
// caller hurries it.
func (c *Cache) ticket(attempt *call, holdsSlot bool) *ticket {
	t := &ticket{urgency: background, free: holdsSlot, start: func() { c.admit(attempt) }}
	if c.state.Load().failures > 0 {
		t.urgency++ // of the same, but failing
	}
	return t
}

// admit starts an attempt that has waited for its place.
func (c *Cache) admit(attempt *call) {
	c.mu.Lock()
	closed := c.state.Load().closed
	if !closed {
		attempt.began = c.now()
		c.plan.spaced = attempt.began.Add(schedule.Spacing)
		c.run(attempt)
	}
	c.mu.Unlock()
	if closed {
		close(attempt.returned)
		c.opts.Limiter.done(attempt.ticket, ErrClosed)
	}
}

// run calls the source in a goroutine of its own, which ends with the call. c.mu is held.
func (c *Cache) run(attempt *call) {
	ctx, cancel := context.WithTimeout(placed(c.opts.Limiter), c.opts.AttemptTimeout)
	attempt.cancel = cancel
	attempt.limit = time.AfterFunc(c.opts.AttemptTimeout+grace, func() { c.expire(attempt) })
	go c.ask(ctx, attempt)
}

// ask calls the source. A panic in it, and a runtime.Goexit such as t.FailNow's,
// ends the attempt with an error.
func (c *Cache) ask(ctx context.Context, attempt *call) {
	var creds aws.Credentials
	err := errSourceExited
	var failed failure
	defer close(attempt.returned)
	if attempt.ticket != nil {
		defer func() { c.opts.Limiter.done(attempt.ticket, err) }()
	}
	defer attempt.cancel()
	defer func() { c.end(attempt, creds, err, failed) }()
	defer func() {
		if r := recover(); r != nil {
			err = errPanic(r)
		}
		failed = c.judge(err)
	}()
	creds, err = c.retrieve(ctx, attempt.replaces)
}

// retrieve calls the source. A planned refresh through the SDK's own cache invalidates the
// credentials that it replaces, which that cache would return until their end. It does not
// invalidate others, which another user of that cache got, nor any after a failed attempt, unless
// they are withdrawn.
func (c *Cache) retrieve(ctx context.Context, replaces string) (aws.Credentials, error) {
	creds, err := c.source.Retrieve(ctx)
	sdk, ok := c.source.(*aws.CredentialsCache)
	if !ok || err != nil || !creds.HasKeys() || creds.AccessKeyID != replaces && !c.isWithdrawn(creds) {
		return creds, err
	}
	sdk.Invalidate()
	return c.source.Retrieve(ctx)
}

func (c *Cache) isWithdrawn(creds aws.Credentials) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.plan.past().withdrawn, creds.AccessKeyID)
}

// failure is what the Options report of an error.
type failure struct {
	permanent bool
	wait      time.Duration // that the source asks for
}

// judge asks the Options of an error. It must not be called with c.mu held: the
// answer is other people's code.
func (c *Cache) judge(err error) (f failure) {
	defer func() { _ = recover() }()
	if err != nil {
		f.permanent = c.opts.Permanent(err)
		f.wait = c.opts.RetryAfter(err)
	}
	return f
}

// end takes the result of an attempt whose source has returned.
func (c *Cache) end(attempt *call, creds aws.Credentials, err error, failed failure) {
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
	case creds.HasKeys() && slices.Contains(c.plan.past().withdrawn, creds.AccessKeyID):
		err = errRefusedAgain
	default:
		next, err = s.fresh(creds, now, rand.Float64())
	}
	switch {
	case s.holds(creds, now) || err == nil && next.endsBefore(s, now) && !attempt.prefers(next):
		c.keep(attempt, s.again(creds, now), now)
	case err == nil:
		c.countLife(next)
		c.settle(attempt, c.refreshes(next), now)
	case !attempt.overdue:
		c.fail(attempt, err, failed, now)
	default:
		c.advanceLocked()
	}
}

// prefers reports whether the credentials of s are better than the ones that are served, even
// though they end sooner: a service rejected those, and these live as long as it takes until
// another rejection starts an attempt.
func (a *call) prefers(s *snapshot) bool {
	return a.rejected && s.life >= leastReplacement
}

// keep settles an attempt that brought no news: the source returned the credentials that are
// served, or some that end sooner. It is neither a failure nor an event, unless it ends failures.
// c.mu is held.
func (c *Cache) keep(attempt *call, s *snapshot, now schedule.Moment) {
	if c.state.Load().failures > 0 {
		c.settle(attempt, s, now)
		return
	}
	c.plan.ended = attempt.number
	c.store(s)
	c.advanceLocked()
	c.plan.announce()
}

// expire counts an attempt as failed whose source has not returned in time. What it
// returns later still counts if it is good.
func (c *Cache) expire(attempt *call) {
	err := fmt.Errorf("cache: the source did not return within %v: %w", c.opts.AttemptTimeout, context.DeadlineExceeded)
	failed := c.judge(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.plan.call != attempt || c.state.Load().closed {
		return
	}
	attempt.overdue = true
	c.fail(attempt, err, failed, c.now())
}

// fail settles an attempt that failed. c.mu is held.
func (c *Cache) fail(attempt *call, err error, failed failure, now schedule.Moment) {
	s := c.state.Load().failed(err, failed.permanent)
	c.plan.failed(s, failed.wait, now)
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
