package cache

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/schedule"
)

// Invalidate withdraws credentials from all callers. They are not served again, even if the source
// returns them later, and an attempt to replace them starts. Use Invalidate if the application
// knows that the credentials must not be used any more. If a single service rejected them, use
// [Cache.Replace]. Invalidate compares access key IDs, so it keeps newer credentials and the
// result of a running attempt. The last 16 withdrawn keys are remembered.
//
// However often it is called, Invalidate starts at most one attempt a minute. Until an attempt
// succeeds, Retrieve returns an [*Error] that wraps [ErrRejected] and contains the time of the next
// attempt. Invalidate does not block.
func (c *Cache) Invalidate(rejected aws.Credentials) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state.Load()
	if s.phase == closed || rejected.AccessKeyID == "" || rejected.AccessKeyID != s.creds.AccessKeyID {
		return
	}
	c.scheduler.withdraw(rejected.AccessKeyID)
	c.scheduler.demand = true
	c.store(s.asWithdrawn())
	c.advance(false)
	event := c.event()
	event.Withdrawn = true
	c.events.put(event)
}

// Replace starts an attempt to replace credentials that a service rejected. It waits until the
// attempt completes or ctx is done, at most for Options.AttemptTimeout. Other callers are served
// the rejected credentials meanwhile, and still afterwards if the attempt fails. Replace returns
// nil once the Cache has credentials other than rejected, immediately if it already has. If ctx has
// already ended, Replace starts the attempt without waiting.
//
// An attempt starts only if the rejected credentials were received at least minAge ago, and no
// other call of Replace started one within minAge. Otherwise, or if the source returns the same
// credentials again, Replace returns [ErrRejected]. After a failed attempt, no attempt starts before
// it is due, and Replace returns the [*Error] of the failed one. New credentials that expire before
// the rejected ones are used only if they live for at least a minute. Replace compares access key
// IDs, like [Cache.Invalidate].
func (c *Cache) Replace(ctx context.Context, rejected aws.Credentials, minAge time.Duration) error {
	limit := time.NewTimer(c.opts.AttemptTimeout)
	defer limit.Stop()
	ended, holdsSlot := ctx.Err() != nil, c.holdsSlot(ctx)
	c.mu.Lock()
	s, now := c.state.Load(), c.now()
	switch {
	case s.phase == closed:
		c.mu.Unlock()
		return ErrClosed
	case rejected.AccessKeyID != s.creds.AccessKeyID:
		c.mu.Unlock()
		return nil
	case c.scheduler.attempt == nil && s.failures == 0:
		if !c.scheduler.mayReplace(s, now, minAge) {
			c.mu.Unlock()
			return ErrRejected
		}
		c.scheduler.lastReplace = now
		c.scheduler.requested, c.scheduler.rejected = true, true
	}
	c.scheduler.demand = true
	c.advance(holdsSlot)
	if !ended {
		c.promote(holdsSlot)
	}
	next, target := c.scheduler.attempt, c.scheduler.started
	switch {
	case ended, next != nil && next.progress == overdue, next == nil && s.failures > 0:
		err := c.state.Load().callerError()
		c.mu.Unlock()
		return err
	case next == nil: // it starts within a second: see scheduler.spacedUntil
		target++
	}
	if err := c.await(ctx, target, limit.C); err != nil {
		return err
	}
	if c.state.Load().creds.AccessKeyID == rejected.AccessKeyID {
		return ErrRejected
	}
	return nil
}

// mayReplace reports whether a rejection may start an attempt.
func (sched *scheduler) mayReplace(s *snapshot, now schedule.Moment, minAge time.Duration) bool {
	return now.Elapsed-s.received.Elapsed >= minAge &&
		(sched.lastReplace == schedule.Never() || now.Elapsed-sched.lastReplace.Elapsed >= minAge)
}

// await waits until an attempt completes and returns its error. c.mu is held; await unlocks it.
func (c *Cache) await(ctx context.Context, number int, limit <-chan time.Time) error {
	for {
		s := c.state.Load()
		if s.phase == closed {
			c.mu.Unlock()
			return ErrClosed
		}
		if c.scheduler.completed >= number {
			c.mu.Unlock()
			return s.callerError()
		}
		changed := c.scheduler.changes()
		c.mu.Unlock()
		select {
		case <-changed:
		case <-limit:
			return fmt.Errorf("cache: waiting for the replacement of rejected credentials: %w", context.DeadlineExceeded)
		case <-ctx.Done():
			return s.contextError(ctx)
		}
		c.mu.Lock()
	}
}
