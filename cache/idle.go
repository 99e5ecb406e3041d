package cache

// usage records whether the credentials are used, if Options.MaxIdleLifetimes is set. Only the first
// Retrieve of each lifetime has to leave the fast path for that.
type usage struct {
	current       bool // in the current lifetime
	idleLifetimes int  // number of consecutive unused lifetimes before it
}

// startLifetime starts a new lifetime. c.mu is held.
func (c *Cache) startLifetime(next *snapshot) {
	if c.opts.MaxIdleLifetimes <= 0 {
		return
	}
	switch {
	case c.scheduler.usage.current:
		c.scheduler.usage.idleLifetimes = 0
	case c.state.Load().lifetime > 0:
		c.scheduler.usage.idleLifetimes++
	}
	c.scheduler.usage.current = false
	next.firstUse = true
}

// recordUse records that the credentials are used. c.mu is held.
func (c *Cache) recordUse(s *snapshot) *snapshot {
	if !s.firstUse {
		return s
	}
	c.scheduler.usage.current = true
	next := *s
	next.firstUse = false
	c.store(&next)
	return &next
}

// idle reports whether the credentials have been unused for too long to be refreshed.
func (c *Cache) idle() bool {
	return c.opts.MaxIdleLifetimes > 0 && !c.scheduler.usage.current && c.scheduler.usage.idleLifetimes >= c.opts.MaxIdleLifetimes-1 && !c.scheduler.demand && !c.scheduler.requested
}
