package cache

import (
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/schedule"
)

// Invalidate says that a service refused these credentials as expired
// (ExpiredToken, ExpiredTokenException): they are not served again, even if the
// source returns them once more, and an attempt to replace them begins. It compares the
// access key ID, so newer credentials, and those of an attempt under way, are not
// thrown away.
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
	c.plan.troubles().refused = rejected.AccessKeyID
	c.plan.demand = true
	c.store(s.refused())
	c.advanceLocked()
	event := c.event()
	event.Refused = true
	c.events.put(event)
}

// Suspect says that a service refused these credentials for another reason than that
// they have expired, such as InvalidClientTokenId: their role may have been deleted
// and made anew, but it may as well be the service's fault. They go on being served
// while an attempt to replace them begins, one a minute at most, after a failed one when
// it is due. Like [Cache.Invalidate] it compares the access key ID. It does not block.
func (c *Cache) Suspect(refused aws.Credentials) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, now := c.state.Load(), c.now()
	if s.closed || refused.AccessKeyID == "" || refused.AccessKeyID != s.creds.AccessKeyID || !c.plan.past().refusable.Reached(now) {
		return
	}
	c.plan.troubles().refusable = now.Add(schedule.RefusalSpacing)
	if c.plan.call == nil { // else the attempt under way is the answer
		c.plan.asked = true
	}
	c.advanceLocked()
}
