package cache

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/follow"
	"github.com/irsakit/irsakit/internal/schedule"
	"github.com/irsakit/irsakit/internal/slots"
)

// grace is how much longer than AttemptTimeout a source may take to return. It lets the source
// return an error that explains more than that its context timed out.
const grace = 100 * time.Millisecond

// minReplacement is the minimum lifetime of credentials that replace rejected ones with a later
// expiry.
const minReplacement = time.Minute

// attempt is one call of the source.
type attempt struct {
	number   int
	began    schedule.Moment
	progress progress
	ticket   *slots.Ticket
	cancel   context.CancelFunc // set when the source is called
	limit    *time.Timer        // likewise
	rejected bool               // it replaces credentials that a service rejected
	replaces string             // access key ID of the credentials that a scheduled refresh replaces
	returned chan struct{}      // closed when the source has returned, or will not be called
}

// progress is how far an attempt has come.
type progress int

const (
	queued  progress = iota // it waits for a slot of the Limiter
	running                 // the source has been called
	overdue                 // the source has not returned in time: the attempt was counted as failed
)

// start starts an attempt, or queues it until it has a slot. c.mu is held.
func (c *Cache) start(now schedule.Moment, holdsSlot bool) {
	c.scheduler.stopTimer()
	c.scheduler.started++
	c.scheduler.spacedUntil = now.Add(schedule.Spacing)
	s := c.state.Load()
	if s.phase == withdrawn && s.failures == 0 {
		c.scheduler.invalidateSpacedUntil = now.Add(schedule.RejectionSpacing)
	}
	a := &attempt{number: c.scheduler.started, began: now, rejected: c.scheduler.rejected, returned: make(chan struct{})}
	c.scheduler.pending = pending{}
	if s.failures == 0 && s.serves(now, 0) {
		a.replaces = s.creds.AccessKeyID
	}
	a.ticket = &slots.Ticket{Priority: slots.Background, Nested: holdsSlot, Start: func() { c.admit(a) }}
	if s.failures > 0 {
		a.ticket.Priority = slots.BackgroundFailing
	}
	c.scheduler.attempt = a
	c.store(s.withDue(schedule.Never())) // no Retrieve needs to start one while it runs
	if !c.slots.Acquire(a.ticket) {
		c.scheduler.broadcast() // wakes callers that hold a slot already: see promote
		return
	}
	c.run(a)
}

// admit starts an attempt that has acquired its slot after waiting.
func (c *Cache) admit(a *attempt) {
	c.mu.Lock()
	late := c.state.Load().phase == closed
	if !late {
		a.began = c.now()
		c.scheduler.spacedUntil = a.began.Add(schedule.Spacing)
		c.run(a)
	}
	c.mu.Unlock()
	if late {
		close(a.returned)
		c.slots.Release(a.ticket, ErrClosed)
	}
}

// run calls the source in a new goroutine, which exits after the source has returned. c.mu is held.
func (c *Cache) run(a *attempt) {
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), slotKey{}, c.slots), c.opts.AttemptTimeout)
	a.progress, a.cancel = running, cancel
	a.limit = time.AfterFunc(c.opts.AttemptTimeout+grace, func() { c.timeOut(a) })
	go c.callSource(ctx, a)
}

// callSource calls the source. A panic or runtime.Goexit in the source, such as that of t.FailNow,
// ends the attempt with an error.
func (c *Cache) callSource(ctx context.Context, a *attempt) {
	var creds aws.Credentials
	err := errSourceExited
	var class classification
	defer close(a.returned)
	defer func() { c.slots.Release(a.ticket, err) }()
	defer a.cancel()
	defer func() { c.finish(a, creds, err, class) }()
	defer func() {
		if r := recover(); r != nil {
			err = errPanic(r)
		}
		class = c.classify(err)
	}()
	creds, err = c.retrieve(ctx, a.replaces)
}

// retrieve calls the source. If the source is the SDK's own cache, which would return the same
// credentials until they expire, a scheduled refresh invalidates the credentials that it replaces.
// It keeps credentials that another user of that cache obtained. After a failed attempt it
// invalidates none, except withdrawn ones.
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
	return slices.Contains(c.scheduler.withdrawn, creds.AccessKeyID)
}

// classification is how the Options classify an error.
type classification struct {
	permanent bool
	wait      time.Duration // requested by the source
}

// classify classifies an error by the Options. They are foreign code, so c.mu must not be held.
func (c *Cache) classify(err error) (class classification) {
	defer func() { _ = recover() }()
	if err != nil {
		class.permanent = c.opts.Permanent(err)
		class.wait = c.opts.RetryAfter(err)
	}
	return class
}

// finish handles the result of an attempt whose source has returned.
func (c *Cache) finish(a *attempt, creds aws.Credentials, err error, class classification) {
	if err, published := c.record(a, creds, err, class); published {
		c.completed(err)
	}
}

// completed reports the published outcome of an attempt to the source, if that follows the Cache.
func (c *Cache) completed(err error) {
	if c.follower != nil {
		c.follower.Completed(follow.Outcome{Err: err})
	}
}

// record stores the result of an attempt. It returns the attempt's error, and reports whether the
// outcome was published.
func (c *Cache) record(a *attempt, creds aws.Credentials, err error, class classification) (outcome error, published bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a.limit.Stop()
	c.scheduler.attempt = nil
	s := c.state.Load()
	if s.phase == closed {
		return err, false
	}
	now := c.now()
	var next *snapshot
	switch {
	case err != nil:
	case creds.HasKeys() && slices.Contains(c.scheduler.withdrawn, creds.AccessKeyID):
		err = errWithdrawnAgain
	case s.contains(creds):
		if left := s.expiry().Until(now); left <= 0 { // on either clock: the wall clock can have been set back
			err = errShortLifetime(left)
		}
	default:
		next, err = obtain(creds, now, c.random)
	}
	switch {
	// The source returned the served credentials, or some that expire sooner. This is not a failure.
	case err == nil && (s.contains(creds) || next.expiresBefore(s, now) && !a.prefers(next)):
		report := s.failures > 0 // otherwise nothing has changed for an observer
		c.publish(a, s.withRepeated(creds, now), now, report)
		return nil, report
	case err == nil:
		c.startLifetime(next)
		c.publish(a, c.withRefresh(next), now, true)
		return nil, true
	case a.progress != overdue:
		c.fail(a, err, class, now)
		return err, true
	default:
		c.advance(false)
		return err, false
	}
}

// prefers reports whether the credentials of s replace the served ones although they expire sooner.
// This requires that a service rejected the served ones, and that the new ones live until another
// rejection may start an attempt.
func (a *attempt) prefers(s *snapshot) bool {
	return a.rejected && s.lifetime >= minReplacement
}

// timeOut counts an attempt as failed if its source has not returned in time. A late success is
// still used.
func (c *Cache) timeOut(a *attempt) {
	err := fmt.Errorf("cache: the source did not return within %v: %w", c.opts.AttemptTimeout, context.DeadlineExceeded)
	class := c.classify(err)
	c.mu.Lock()
	late := c.scheduler.attempt == a && c.state.Load().phase != closed
	if late {
		a.progress = overdue
		c.fail(a, err, class, c.now())
	}
	c.mu.Unlock()
	if late {
		c.completed(err)
	}
}

// fail completes a failed attempt. c.mu is held.
func (c *Cache) fail(a *attempt, err error, class classification, now schedule.Moment) {
	s := c.state.Load().withFailure(err, class.permanent)
	wait := schedule.RetryAfter(s.failures, s.remaining(now), s.permanent, class.wait, c.random())
	c.scheduler.retry = retryTimes{serving: now.Add(wait.Serving), empty: now.Add(wait.Empty)}
	c.publish(a, s, now, true)
}

// publish publishes the outcome of an attempt: it stores the state, schedules the next attempt and
// wakes the waiting callers. If report is set, it reports an event. c.mu is held.
func (c *Cache) publish(a *attempt, s *snapshot, now schedule.Moment, report bool) {
	c.scheduler.completed = a.number
	c.store(s)
	c.advance(false)
	c.scheduler.broadcast()
	if report {
		event := c.event()
		event.Took = now.Elapsed - a.began.Elapsed
		c.events.put(event)
	}
}
