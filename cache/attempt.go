package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"weak"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/follow"
	"github.com/irsakit/irsakit/internal/schedule"
	"github.com/irsakit/irsakit/internal/slots"
)

// grace is how long after AttemptTimeout a source may still return, so that its own error is
// reported rather than a less informative timeout.
const grace = 100 * time.Millisecond

// minReplacement is how long new credentials must live to replace rejected ones that expire later.
const minReplacement = time.Minute

// attempt is one call to the source.
type attempt struct {
	progress progress
	ticket   *slots.Ticket
	began    schedule.Moment    // set when the source is called
	cancel   context.CancelFunc // set when the source is called
	limit    *time.Timer        // abandons the attempt; set when the source is called
	rejected bool               // replaces credentials that a service rejected
	replaces string             // access key ID of the credentials being replaced by a scheduled refresh
	returned chan struct{}      // closed when the source has returned or will never be called
}

// progress is the stage of an attempt.
type progress int

const (
	queued  progress = iota // waiting for a slot of the Limiter
	running                 // the source has been called
	overdue                 // abandoned because the source did not return in time
)

// isOverdue reports whether a was abandoned and its source is still running. a may be nil.
func (a *attempt) isOverdue() bool { return a != nil && a.progress == overdue }

// start starts an attempt, or queues it if no slot is free. A queued attempt does not keep the
// Cache alive. c.mu must be held.
func (c *Cache) start(now schedule.Moment, caller *slots.Ticket) {
	c.scheduler.stopTimer()
	c.scheduler.started++
	s := c.state.Load()
	if s.phase == withdrawn && s.failures == 0 {
		c.scheduler.invalidateSpacedUntil = now.Add(schedule.RejectionSpacing)
	}
	a := &attempt{rejected: c.scheduler.rejected, returned: make(chan struct{})}
	c.scheduler.pending = pending{}
	cache := weak.Make(c)
	a.ticket = &slots.Ticket{Tenant: c.opts.Tenant, Priority: slots.Background, Within: caller, Start: func() bool {
		if c := cache.Value(); c != nil && c.admit(a) {
			return true
		}
		close(a.returned)
		return false
	}}
	switch {
	case s.failures > 0:
		a.ticket.Priority = slots.BackgroundFailing
	case s.serves(now, 0):
		a.replaces = s.creds.AccessKeyID
	}
	c.scheduler.attempt = a
	c.storeDue(schedule.Never()) // keeps Retrieve on the fast path while the attempt runs
	if !c.slots().Acquire(a.ticket) {
		c.scheduler.broadcast() // wakes callers that already hold a slot, so that they can share it (see demand)
		return
	}
	c.run(a)
}

// admit starts a queued attempt that has acquired its slot. If the Cache is closed, it returns
// false instead.
func (c *Cache) admit(a *attempt) (open bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if open = c.state.Load().phase != closed; open {
		c.run(a)
	}
	return open
}

// run calls the source in a new goroutine, which exits once the source has returned. c.mu must be
// held.
func (c *Cache) run(a *attempt) {
	ctx := context.Background()
	if pool := c.slots(); pool != nil {
		ctx = context.WithValue(ctx, slotKey{pool}, a.ticket)
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.AttemptTimeout)
	a.progress, a.began, a.cancel = running, c.now(), cancel
	c.scheduler.spacedUntil = a.began.Add(schedule.Spacing)
	a.limit = time.AfterFunc(c.opts.AttemptTimeout+grace, func() { c.timeOut(a) })
	go c.callSource(ctx, a)
}

// result is what the source returned. classify sets permanent and wait.
type result struct {
	creds     aws.Credentials
	err       error
	permanent bool          // err requires a configuration change
	wait      time.Duration // delay requested by err
}

var errGoexit = errors.New("cache: the source called runtime.Goexit")

// callSource calls the source. If the source panics or calls runtime.Goexit, as t.FailNow does,
// the attempt fails.
func (c *Cache) callSource(ctx context.Context, a *attempt) {
	r := result{err: errGoexit}
	defer close(a.returned)
	defer func() { c.slots().Release(a.ticket, r.err) }()
	defer a.cancel()
	defer func() { c.complete(func() (bool, error) { return c.record(a, r) }) }()
	defer func() {
		if v := recover(); v != nil {
			r.err = errPanic(v)
		}
		c.classify(&r)
	}()
	r.creds, r.err = c.retrieve(ctx, a.replaces)
}

// retrieve calls the source. An aws.CredentialsCache returns the same credentials until they
// expire, so a scheduled refresh invalidates them and calls the source again, unless another user
// of that cache has already obtained newer ones. A retry after a failure invalidates only withdrawn
// credentials.
func (c *Cache) retrieve(ctx context.Context, replaces string) (aws.Credentials, error) {
	creds, err := c.source.Retrieve(ctx)
	sdk, ok := c.source.(*aws.CredentialsCache)
	if ok && err == nil && creds.HasKeys() && (creds.AccessKeyID == replaces || c.isWithdrawn(creds)) {
		sdk.Invalidate()
		return c.source.Retrieve(ctx)
	}
	return creds, err
}

// isWithdrawn reports whether creds were passed to Invalidate.
func (c *Cache) isWithdrawn(creds aws.Credentials) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.scheduler.withdrawn, creds.AccessKeyID)
}

// classify calls Options.Permanent and Options.RetryAfter with the error in r, if any. Both are
// user code, so c.mu must not be held, and a panic is ignored.
func (c *Cache) classify(r *result) {
	defer func() { _ = recover() }()
	if r.err != nil {
		r.permanent = c.opts.Permanent(r.err)
		r.wait = c.opts.RetryAfter(r.err)
	}
}

// complete calls record with c.mu held. If that publishes a result, complete then passes it to a
// source that follows the Cache.
func (c *Cache) complete(record func() (published bool, err error)) {
	c.mu.Lock()
	published, err := record()
	c.mu.Unlock()
	if published && c.events.follower != nil {
		c.events.follower.Completed(follow.Outcome{Err: err})
	}
}

// record stores the result of an attempt once its source has returned. It reports whether the result
// was published, and returns the attempt's error. c.mu must be held.
func (c *Cache) record(a *attempt, r result) (published bool, err error) {
	a.limit.Stop()
	c.scheduler.attempt = nil
	s, now := c.state.Load(), c.now()
	if s.phase == closed {
		return false, r.err
	}
	next, err := c.examine(s, r, now)
	switch {
	// It is not a failure if the source returns the served credentials, or others that expire sooner.
	case err == nil && (s.contains(r.creds) || next.expiresBefore(s, now) && !a.prefers(next)):
		report := s.failures > 0 // otherwise nothing has changed for an observer
		c.publish(a, s.withRepeated(r.creds, now, c.scheduler.minTTLs), now, report)
		return report, nil
	case err == nil:
		if c.events.follower != nil {
			c.events.follower.Serve(next.creds.AccessKeyID)
		}
		c.startLifetime(next)
		next.refreshAt = c.refreshAt(next)
		c.publish(a, next, now, true)
		return true, nil
	case a.progress != overdue:
		r.err = err
		return c.fail(a, r, now)
	default:
		c.advance(nil)
		return false, err
	}
}

// examine returns the state with the credentials in r, or an error if they are unusable. It returns
// neither if s already contains them. c.mu must be held.
func (c *Cache) examine(s *snapshot, r result, now schedule.Moment) (*snapshot, error) {
	switch {
	case r.err != nil:
		return nil, r.err
	case r.creds.HasKeys() && slices.Contains(c.scheduler.withdrawn, r.creds.AccessKeyID):
		return nil, errors.New("cache: the source returned credentials that were passed to Invalidate")
	case !s.contains(r.creds):
		return obtain(r.creds, now, c.random)
	case s.expiry().Until(now) <= 0: // on either clock, because the wall clock may have been set back
		return nil, errShortLifetime(s.expiry().Until(now))
	default:
		return nil, nil
	}
}

// prefers reports whether the credentials of s replace the served ones even though they expire
// sooner. They do if a service rejected the served ones, provided that the new ones live long
// enough for another rejection to start an attempt.
func (a *attempt) prefers(s *snapshot) bool { return a.rejected && s.lifetime >= minReplacement }

// timeOut abandons an attempt whose source has not returned in time. The attempt counts as failed and
// releases its slot, but a late success is still used.
func (c *Cache) timeOut(a *attempt) {
	r := result{err: fmt.Errorf("cache: the source did not return within %v: %w", c.opts.AttemptTimeout, context.DeadlineExceeded)}
	defer func() { c.slots().Release(a.ticket, r.err) }()
	defer c.complete(func() (bool, error) { // even if user code in Options calls runtime.Goexit
		if c.scheduler.attempt != a || c.state.Load().phase == closed {
			return false, r.err
		}
		a.progress = overdue
		return c.fail(a, r, c.now())
	})
	c.classify(&r)
}

// fail publishes a failed attempt. c.mu must be held.
func (c *Cache) fail(a *attempt, r result, now schedule.Moment) (published bool, err error) {
	s := c.state.Load().withFailure(r.err, r.permanent)
	left := c.scheduler.minTTLs.UntilEnd(s.lifetime, s.until.Until(now))
	wait := schedule.RetryAfter(s.failures, left, s.permanent, r.wait, c.random())
	c.scheduler.retryServing, c.scheduler.retryEmpty = now.Add(wait.Serving), now.Add(wait.Empty)
	c.publish(a, s, now, true)
	return true, r.err
}

// publish stores the state after an attempt, schedules the next attempt and wakes waiting callers. If
// report is true, it also reports an event. c.mu must be held.
func (c *Cache) publish(a *attempt, s *snapshot, now schedule.Moment, report bool) {
	c.scheduler.completed = c.scheduler.started
	c.scheduler.rejected = a.rejected && s.failures > 0 // retries replace the same credentials
	if d := decide(s, c.scheduler.reasons, now); c.scheduler.attempt == nil && !d.start {
		s.setDue(d.due) // saves advance a second store. While an overdue attempt is running, no attempt is due.
	}
	c.store(s)
	c.advance(nil)
	c.scheduler.broadcast()
	if report {
		c.report(Event{Took: now.Elapsed - a.began.Elapsed})
	}
}
