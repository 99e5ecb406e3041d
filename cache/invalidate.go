package cache

import (
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/schedule"
)

// Invalidate says that a service refused these credentials as expired
// (ExpiredToken, ExpiredTokenException): they are never served again, and an
// attempt to replace them begins. It compares the access key ID, so newer
// credentials, and those of an attempt under way, are not thrown away.
//
// However many calls a service refuses, one attempt a minute comes of it: between
// them, with nothing else to serve, Retrieve returns an [*Error] that wraps
// [ErrRefused] and says when the next one comes. Invalidate does not block.
func (c *Cache) Invalidate(rejected aws.Credentials) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state.Load()
	if s.closed || rejected.AccessKeyID == "" || rejected.AccessKeyID != s.creds.AccessKeyID {
		return
	}
	now := c.now()
	c.plan.refused = rejected.AccessKeyID
	c.plan.refusal = now
	if !c.plan.refusable.Reached(now) {
		c.plan.refusal = c.plan.refusable
	}
	c.plan.refusable = c.plan.refusal.Add(schedule.RefusalSpacing)
	c.plan.demand = true
	s = s.refused()
	if c.plan.call == nil {
		s = s.waits(c.plan.due(s, false))
	}
	c.store(s)
	c.events.Put(c.event(s, now))
	c.advanceLocked()
}
