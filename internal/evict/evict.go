// Package evict bounds a set of members that belong to tenants, and selects fairly between the
// tenants the members to evict.
package evict

// Set is a bounded set of members. A new member is on probation until [Set.Confirm]. There are at
// most max confirmed members and max on probation. A member on probation never displaces a
// confirmed one.
//
// A Set is not safe for concurrent use. Its methods take logarithmic time, amortized.
type Set[V any] struct {
	max                  int
	clock                uint64
	probation, confirmed class[V]
}

// Member is a member of a Set. Its fields must not be changed while it is in the Set.
type Member[V any] struct {
	Value  V
	Source *Member[V] // cannot be evicted before this member; may be nil

	share *share[V] // nil if the member is not in the Set
	used  uint64    // Set.clock of the last use
	rank  uint64    // used when the member was last ordered among the candidates
	index int       // among the candidates
	uses  int       // number of members in the Set whose source this is
}

// class is a set of members with the same bound.
type class[V any] struct {
	count   int
	tenants map[string]*share[V]
	shares  queue[*share[V]] // the tenant that has the most members and can lose one first
}

// share is the members of one tenant in a class.
type share[V any] struct {
	class      *class[V]
	tenant     string
	count      int
	candidates queue[*Member[V]] // can be evicted, least recently used first
	index      int               // among the shares
}

// New returns a Set with the given bound.
func New[V any](limit int) *Set[V] {
	return &Set[V]{max: limit, probation: newClass[V](), confirmed: newClass[V]()}
}

// Used returns when m was last used. Later uses return greater numbers.
func (m *Member[V]) Used() uint64 { return m.used }

// Use marks m as used, and then its sources.
func (s *Set[V]) Use(m *Member[V]) {
	for ; m != nil; m = m.Source {
		s.clock++
		m.used = s.clock
	}
}

// Add adds m, whose source must be in the Set, on probation. It returns the member that was evicted
// instead, or nil if there was room. Add reports whether it added m: it does not if no member on
// probation can be evicted for the tenant, or if the tenant has no confirmed member and could not get
// one.
func (s *Set[V]) Add(m *Member[V], tenant string) (evicted *Member[V], ok bool) {
	m.Source.hold()
	if _, ok = s.victim(&s.confirmed, tenant); ok || s.confirmed.tenants[tenant] != nil {
		evicted, ok = s.victim(&s.probation, tenant)
	}
	if !ok {
		m.Source.release()
		return nil, false
	}
	evicted.remove()
	s.probation.insert(m, tenant)
	s.Use(m)
	return evicted, true
}

// Confirm ends the probation of m. It returns the member that was evicted instead, or nil. If no
// member can be evicted for m's tenant, m stays on probation. Confirm is a no-op if m is confirmed or
// not in the Set.
func (s *Set[V]) Confirm(m *Member[V]) *Member[V] {
	if m.share == nil || m.share.class == &s.confirmed {
		return nil
	}
	tenant := m.share.tenant
	evicted, ok := s.victim(&s.confirmed, tenant)
	if !ok {
		return nil
	}
	evicted.remove()
	m.withdraw()
	s.confirmed.insert(m, tenant)
	return evicted
}

// victim returns the member that is evicted so that the tenant gets another one in c, or nil if there
// is room. It reports whether there is room, or a victim.
//
// The tenant with the most members loses one if it has more than its share. Otherwise the asking
// tenant loses its own.
func (s *Set[V]) victim(c *class[V], tenant string) (*Member[V], bool) {
	if c.count < s.max {
		return nil, true
	}
	own, tenants, count := c.tenants[tenant], len(c.tenants), 1
	if own != nil {
		count += own.count
	} else {
		tenants++
	}
	most := c.shares.first()
	switch {
	case most != nil && most.canLose() && most.count > max(count, s.max/tenants):
		return most.leastRecentlyUsed(), true
	case own != nil && own.canLose():
		return own.leastRecentlyUsed(), true
	default:
		return nil, false
	}
}

// hold prevents the eviction of m, unless it is nil.
func (m *Member[V]) hold() {
	if m == nil {
		return
	}
	if m.uses++; m.uses == 1 {
		m.share.candidates.remove(m)
		m.share.reorder()
	}
}

// release undoes one hold.
func (m *Member[V]) release() {
	if m == nil {
		return
	}
	if m.uses--; m.uses == 0 {
		m.share.addCandidate(m)
		m.share.reorder()
	}
}

// remove removes m from the Set, unless it is nil.
func (m *Member[V]) remove() {
	if m != nil {
		m.withdraw()
		m.Source.release()
	}
}

// withdraw removes m from its class.
func (m *Member[V]) withdraw() {
	sh := m.share
	m.share = nil
	sh.class.count--
	sh.count--
	if m.uses == 0 {
		sh.candidates.remove(m)
	}
	if sh.count > 0 {
		sh.reorder()
		return
	}
	sh.class.shares.remove(sh)
	delete(sh.class.tenants, sh.tenant)
}

func newClass[V any]() class[V] {
	larger := func(a, b *share[V]) bool {
		if a.canLose() != b.canLose() {
			return a.canLose()
		}
		return a.count > b.count
	}
	return class[V]{
		tenants: map[string]*share[V]{},
		shares:  queue[*share[V]]{less: larger, place: func(sh *share[V]) *int { return &sh.index }},
	}
}

// insert adds m to a class.
func (c *class[V]) insert(m *Member[V], tenant string) {
	sh := c.tenants[tenant]
	if sh == nil {
		sh = &share[V]{class: c, tenant: tenant, candidates: queue[*Member[V]]{less: older[V], place: place[V]}}
		c.tenants[tenant] = sh
		c.shares.add(sh)
	}
	m.share = sh
	c.count++
	sh.count++
	if m.uses == 0 {
		sh.addCandidate(m)
	}
	sh.reorder()
}

func older[V any](a, b *Member[V]) bool { return a.rank < b.rank }
func place[V any](m *Member[V]) *int    { return &m.index }

func (sh *share[V]) canLose() bool { return len(sh.candidates.items) > 0 }

func (sh *share[V]) addCandidate(m *Member[V]) {
	m.rank = m.used
	sh.candidates.add(m)
}

// leastRecentlyUsed returns the candidate whose last use is the oldest. A use does not reorder the
// candidates, which keeps it fast. leastRecentlyUsed does.
func (sh *share[V]) leastRecentlyUsed() *Member[V] {
	for {
		m := sh.candidates.first()
		if m.rank == m.used {
			return m
		}
		m.rank = m.used
		sh.candidates.fix(m)
	}
}

// reorder restores the order of the shares after a change of sh.
func (sh *share[V]) reorder() { sh.class.shares.fix(sh) }
