package cache

// use records whether the credentials are used, if Options.IdleLives is set. Only the first
// Retrieve of each lifetime has to leave the fast path for that.
type use struct {
	now    bool // in the current lifetime
	unused int  // number of consecutive unused lifetimes before it
}

// countLife starts a new lifetime. c.mu is held.
func (c *Cache) countLife(next *snapshot) {
	if c.opts.IdleLives <= 0 {
		return
	}
	switch {
	case c.scheduler.use.now:
		c.scheduler.use.unused = 0
	case c.state.Load().life > 0:
		c.scheduler.use.unused++
	}
	c.scheduler.use.now = false
	next.firstUse = true
}

// noteUse records that the credentials are used. c.mu is held.
func (c *Cache) noteUse(s *snapshot) *snapshot {
	if !s.firstUse {
		return s
	}
	c.scheduler.use.now = true
	next := *s
	next.firstUse = false
	c.store(&next)
	return &next
}

// idle reports whether the credentials have been unused for too long to be refreshed.
func (c *Cache) idle() bool {
	return c.opts.IdleLives > 0 && !c.scheduler.use.now && c.scheduler.use.unused >= c.opts.IdleLives-1 && !c.scheduler.demand && !c.scheduler.requested
}
