package cache

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/schedule"
)

// Replace starts an attempt to replace credentials that a service rejected, and waits for it, for
// ctx, or for as long as an attempt may last. They are served to other callers meanwhile, and
// after the attempt if it fails. Replace returns nil once the Cache has other credentials than
// rejected, immediately if it already has. With a ctx that has ended it only starts the attempt.
//
// An attempt starts only if the rejected credentials were received at least minAge ago and no
// other call of Replace started one within minAge. Otherwise, or if the source returns the same
// credentials again, Replace returns [ErrRefused]. After a failed attempt none starts before it is
// due; Replace then returns the [*Error] of the last one. New credentials that expire before the
// rejected ones are taken only if they live for at least a minute. Like [Cache.Invalidate] it
// compares access key IDs.
func (c *Cache) Replace(ctx context.Context, rejected aws.Credentials, minAge time.Duration) error {
	limit := time.NewTimer(c.opts.AttemptTimeout)
	defer limit.Stop()
	ended, placed := ctx.Err() != nil, hasPlace(ctx, c.opts.Limiter)
	c.mu.Lock()
	s, now := c.state.Load(), c.now()
	switch {
	case s.closed:
		c.mu.Unlock()
		return ErrClosed
	case rejected.AccessKeyID != s.creds.AccessKeyID:
		c.mu.Unlock()
		return nil
	case c.plan.call == nil && s.failures == 0:
		if !c.plan.mayReplace(s, now, minAge) {
			c.mu.Unlock()
			return ErrRefused
		}
		c.plan.troubles().replaced = now
		c.plan.asked, c.plan.rejected = true, true
	}
	c.plan.demand = true
	c.advanceFor(placed)
	if !ended {
		c.hurry(placed)
	}
	call, target := c.plan.call, c.plan.begun
	switch {
	case ended, call != nil && call.overdue, call == nil && s.failures > 0:
		err := c.state.Load().failure()
		c.mu.Unlock()
		return err
	case call == nil: // it begins within a second: see plan.spaced
		target++
	}
	if err := c.await(ctx, target, limit.C); err != nil {
		return err
	}
	if c.state.Load().creds.AccessKeyID == rejected.AccessKeyID {
		return ErrRefused
	}
	return nil
}

// mayReplace reports whether a rejection may start an attempt.
func (p *plan) mayReplace(s *snapshot, now schedule.Moment, minAge time.Duration) bool {
	last := p.past().replaced
	return now.Elapsed-s.received.Elapsed >= minAge && (last == schedule.Moment{} || now.Elapsed-last.Elapsed >= minAge)
}

// await waits for the end of an attempt and returns its failure. c.mu is held; await unlocks it.
func (c *Cache) await(ctx context.Context, attempt int, limit <-chan time.Time) error {
	for {
		s := c.state.Load()
		if s.closed {
			c.mu.Unlock()
			return ErrClosed
		}
		if c.plan.ended >= attempt {
			c.mu.Unlock()
			return s.failure()
		}
		changed := c.plan.changes()
		c.mu.Unlock()
		select {
		case <-changed:
		case <-limit:
			return fmt.Errorf("cache: waiting for the replacement of rejected credentials: %w", context.DeadlineExceeded)
		case <-ctx.Done():
			return s.interrupted(ctx)
		}
		c.mu.Lock()
	}
}
