package cache

import "github.com/aws/aws-sdk-go-v2/aws"

// Invalidate withdraws the credentials from all callers: they are not served again, even if the
// source returns them later, and an attempt to replace them starts. Use it when the application
// knows that they must not be used any more; [Cache.Replace] is for credentials that one service
// rejected. Invalidate compares access key IDs, so newer credentials and those of an attempt under
// way are kept. The newest 16 withdrawn keys are remembered.
//
// However often it is called, it starts at most one attempt a minute. Until one succeeds Retrieve
// returns an [*Error] that wraps [ErrRefused] and contains the time of the next attempt.
// Invalidate does not block.
func (c *Cache) Invalidate(rejected aws.Credentials) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state.Load()
	if s.closed || rejected.AccessKeyID == "" || rejected.AccessKeyID != s.creds.AccessKeyID {
		return
	}
	c.plan.troubles().withdraw(rejected.AccessKeyID)
	c.plan.demand = true
	c.store(s.refused())
	c.advanceLocked()
	event := c.event()
	event.Refused = true
	c.events.put(event)
}
