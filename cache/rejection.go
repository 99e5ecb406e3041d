package cache

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/schedule"
	"github.com/irsakit/irsakit/internal/slots"
)

// maxWithdrawn is the number of withdrawn access key IDs to remember.
const maxWithdrawn = 16

// Invalidate withdraws credentials from all callers and starts an attempt to replace them. They are
// not served again, even if the source returns them later. Use Invalidate when credentials must no
// longer be used, such as after the role's sessions were revoked; if only a single service rejected
// them, use [Cache.Replace] instead. Credentials are compared by access key ID, so newer ones and
// the result of a running attempt are kept. The last 16 keys are remembered, whether or not they
// were served.
//
// Invalidate does not block, and starts at most one attempt a minute. Until an attempt succeeds,
// Retrieve waits for a running attempt. If none is running, it returns an [*Error] with the time of
// the next one. The Error wraps the error of the last attempt if that failed, or otherwise
// [ErrRejected].
func (c *Cache) Invalidate(rejected aws.Credentials) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, keys, key := c.state.Load(), c.scheduler.withdrawn, rejected.AccessKeyID
	if key != "" && !slices.Contains(keys, key) {
		c.scheduler.withdrawn = append(keys[max(len(keys)+1-maxWithdrawn, 0):], key)
	}
	if key == "" || key != s.creds.AccessKeyID { // no longer served, or the Cache is closed
		return
	}
	c.scheduler.demand = true
	c.store(s.asWithdrawn())
	c.advance(nil)
	c.report(Event{Withdrawn: true})
}

// Replace starts an attempt to replace credentials that a service rejected. It waits until the
// attempt completes or ctx is done, but no longer than Options.AttemptTimeout. Other callers are
// served the rejected credentials until an attempt succeeds. Replace returns nil once the Cache
// no longer serves them, which may be immediately. If ctx is already done, Replace starts the attempt
// without waiting, and returns the error of the last one, if it failed.
//
// Replace returns [ErrRejected] without starting an attempt if the rejected credentials were
// received less than minAge ago, or if it has already started one within minAge. It also returns
// [ErrRejected] if the source returns the same credentials again. After a failed attempt, Replace
// returns the [*Error] of that attempt until the next one is due. New credentials that expire
// before the rejected ones are used only if they live for at least a minute. Like
// [Cache.Invalidate], Replace compares access key IDs.
func (c *Cache) Replace(ctx context.Context, rejected aws.Credentials, minAge time.Duration) error {
	limit := time.NewTimer(c.opts.AttemptTimeout)
	defer limit.Stop()
	mustWait := ctx.Err() == nil
	target, err := c.requestReplacement(rejected, minAge, c.callerTicket(ctx), mustWait)
	if target == 0 || !mustWait {
		return err
	}
	err = c.await(ctx, target, limit.C)
	if err == nil && c.state.Load().creds.AccessKeyID == rejected.AccessKeyID {
		err = ErrRejected
	}
	return err
}

// requestReplacement requests an attempt to replace rejected credentials and returns its number. If
// there is no attempt to wait for, it returns 0 and the result of Replace.
func (c *Cache) requestReplacement(rejected aws.Credentials, minAge time.Duration, caller *slots.Ticket, mustWait bool) (target int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, now := c.state.Load(), c.now()
	switch {
	case s.phase == closed:
		return 0, ErrClosed
	case rejected.AccessKeyID != s.creds.AccessKeyID:
		return 0, nil
	case c.scheduler.attempt == nil && s.failures == 0:
		if last := c.scheduler.lastReplace; now.Elapsed-s.received.Elapsed < minAge || last != schedule.Never() && now.Elapsed-last.Elapsed < minAge {
			return 0, ErrRejected
		}
		c.scheduler.lastReplace = now
		c.scheduler.requested, c.scheduler.rejected = true, true
	}
	c.demand(caller, mustWait)
	target, err = c.scheduler.started, c.state.Load().callerError()
	if c.scheduler.attempt != nil {
		return target, err
	}
	if s.failures > 0 {
		return 0, err
	}
	return target + 1, err // starts within a second (see reasons.spacedUntil)
}

// await waits until the attempt with the given number completes, and returns its error, but does
// not wait for an abandoned attempt. Waiting counts as demand for the attempt.
func (c *Cache) await(ctx context.Context, number int, limit <-chan time.Time) error {
	caller, mustWait := c.callerTicket(ctx), ctx.Err() == nil // outside c.mu, because ctx is user code
	for {
		c.mu.Lock()
		completed := c.scheduler.completed >= number
		if !completed {
			c.demand(caller, mustWait)
		}
		s, overdue, changed := c.state.Load(), c.scheduler.attempt.isOverdue(), c.scheduler.changes()
		c.mu.Unlock()
		if completed || overdue || s.phase == closed {
			return s.callerError()
		}
		select {
		case <-changed:
		case <-limit:
			return fmt.Errorf("cache: waiting for the replacement of rejected credentials: %w", context.DeadlineExceeded)
		case <-ctx.Done():
			return s.contextError(ctx)
		}
	}
}
