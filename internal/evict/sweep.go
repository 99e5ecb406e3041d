package evict

import (
	"slices"
	"time"
)

const (
	// maxUnneeded is the time since a member was last needed after which a sweep evicts it.
	maxUnneeded = time.Hour

	// sweepInterval is the minimum time between sweeps, which visit all members.
	sweepInterval = time.Minute
)

// elapsed returns the time since the Set was created, in nanoseconds.
func (s *Set[V]) elapsed() uint64 { return uint64(time.Since(s.start)) }

// Keep marks m and its sources as needed for d. Unlike Use, it does not change the order in which
// members are evicted.
func (s *Set[V]) Keep(m *Member[V], d time.Duration) {
	until := s.elapsed() + uint64(max(d, 0))
	for ; m != nil; m = m.Source {
		m.needed = max(m.needed, until)
	}
}

// sweep evicts the members that have not been needed for an hour. It is a no-op within a minute of
// the last sweep.
func (s *Set[V]) sweep() (evicted []*Member[V]) {
	now := s.elapsed()
	if now < s.nextSweep {
		return nil
	}
	s.nextSweep = now + uint64(sweepInterval)
	for _, c := range []*class[V]{&s.probation, &s.confirmed} {
		for _, sh := range c.tenants {
			for _, m := range slices.Clone(sh.candidates.items) {
				if m.share != nil && max(m.used, m.needed)+uint64(maxUnneeded) <= now {
					evicted = m.evict(evicted)
				}
			}
		}
	}
	return evicted
}
