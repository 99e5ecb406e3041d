package cache

// use is whether somebody asked for the credentials, where Options.IdleLives wants to
// know. It costs one Retrieve in each life its short way: the first.
type use struct {
	now    bool // in the present life
	unused int  // lives before it in which nobody asked
}

// countLife begins a new life of credentials. c.mu is held.
func (c *Cache) countLife(next *snapshot) {
	if c.opts.IdleLives <= 0 {
		return
	}
	switch {
	case c.plan.use.now:
		c.plan.use.unused = 0
	case c.state.Load().life > 0:
		c.plan.use.unused++
	}
	c.plan.use.now = false
	next.unused = true
}

// noteUse takes note that somebody asked for the credentials. c.mu is held.
func (c *Cache) noteUse(s *snapshot) *snapshot {
	if !s.unused {
		return s
	}
	c.plan.use.now = true
	next := *s
	next.unused = false
	c.store(&next)
	return &next
}

// idle says that it is not worth while to refresh: nobody has asked for so long.
func (c *Cache) idle() bool {
	return c.opts.IdleLives > 0 && !c.plan.use.now && c.plan.use.unused >= c.opts.IdleLives-1 && !c.plan.demand && !c.plan.asked
}
