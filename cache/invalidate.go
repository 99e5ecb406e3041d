package cache

import "github.com/aws/aws-sdk-go-v2/aws"

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
	if s.closed || rejected.AccessKeyID == "" || rejected.AccessKeyID != s.creds.AccessKeyID {
		return
	}
	c.scheduler.ensureHistory().withdraw(rejected.AccessKeyID)
	c.scheduler.demand = true
	c.store(s.withoutCredentials())
	c.advanceLocked()
	event := c.event()
	event.Withdrawn = true
	c.events.put(event)
}
