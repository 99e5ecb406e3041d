// Package evict implements a bounded set whose members belong to tenants. Members are evicted fairly
// between tenants.
package evict

import "time"

// Set is a bounded set of members. A new member is on probation until [Set.Confirm]. There are at
// most max confirmed members and max members on probation. A member on probation never displaces a
// confirmed member. If there is no room, members that have not been needed for an hour are evicted.
//
// A Set is not safe for concurrent use. Its methods take amortized logarithmic time, except that at
// most once a minute a call visits all members.
type Set[V any] struct {
	max                  int
	start                time.Time
	clock                uint64 // nanoseconds since start at the last use, or slightly more, so that each use is unique
	nextSweep            uint64 // nanoseconds since start
	probation, confirmed class[V]
}

// Member is a member of a Set. Its fields must not be changed while it is in the Set.
type Member[V any] struct {
	Value  V
	Source *Member[V] // not evicted before this member if this member is confirmed; may be nil

	share      *share[V]               // nil if the member is not in the Set
	used       uint64                  // Set.clock of the last use
	needed     uint64                  // nanoseconds since start until which the member is needed; see Keep
	rank       uint64                  // value of used when the member was last ordered among the candidates
	index      int32                   // among the candidates
	holds      int32                   // number of confirmed members that depend on it; see hold
	dependents map[*Member[V]]struct{} // members in the Set whose Source is this member
}

// class is a set of members with a common bound.
type class[V any] struct {
	confirmed bool
	count     int
	tenants   map[string]*share[V]
	shares    queue[*share[V]] // tenants that can lose a member first, then by descending size
}

// share contains the members of one tenant in a class.
type share[V any] struct {
	class      *class[V]
	tenant     string
	count      int
	candidates queue[*Member[V]] // members that can be evicted, least recently used first
	index      int32             // among the shares
}

// New returns a Set with the given bound.
func New[V any](limit int) *Set[V] {
	return &Set[V]{max: limit, start: time.Now(), probation: newClass[V](false), confirmed: newClass[V](true)}
}

// Used returns the logical time at which m was last used. It increases with each use.
func (m *Member[V]) Used() uint64 { return m.used }

// Use marks m as used, and then its sources.
func (s *Set[V]) Use(m *Member[V]) {
	s.clock = max(s.clock, s.elapsed())
	for ; m != nil; m = m.Source {
		s.clock++
		m.used = s.clock
	}
}

// Add adds m on probation and returns the evicted members. The source of m, if any, must be in the
// Set. Add returns false, without adding m, if there is no room and no member on probation can be
// evicted for the tenant. The same applies if the tenant has no confirmed members and could not get
// one, because no confirmed member can be evicted for it.
func (s *Set[V]) Add(m *Member[V], tenant string) (evicted []*Member[V], ok bool) {
	m.Source.hold()
	defer m.Source.release()
	if !s.accepts(tenant) {
		evicted = s.sweep()
		if !s.accepts(tenant) {
			return evicted, false
		}
	}
	victim, _ := s.victim(&s.probation, tenant)
	evicted = victim.evict(evicted)
	s.probation.insert(m, tenant)
	if m.Source != nil {
		m.Source.addDependent(m)
	}
	s.Use(m)
	return evicted, true
}

// accepts reports whether the tenant can add a member.
func (s *Set[V]) accepts(tenant string) bool {
	if _, ok := s.victim(&s.confirmed, tenant); !ok && s.confirmed.tenants[tenant] == nil {
		return false
	}
	_, ok := s.victim(&s.probation, tenant)
	return ok
}

// Confirm ends the probation of m and returns the evicted members. If there is no room and no member
// can be evicted for m's tenant, m stays on probation. Confirm is a no-op if m is already confirmed
// or not in the Set.
func (s *Set[V]) Confirm(m *Member[V]) (evicted []*Member[V]) {
	if m.share == nil || m.confirmed() {
		return nil
	}
	m.hold()
	tenant := m.share.tenant
	victim, ok := s.victim(&s.confirmed, tenant)
	if !ok {
		evicted = s.sweep()
		victim, ok = s.victim(&s.confirmed, tenant)
	}
	evicted = victim.evict(evicted)
	m.release()
	if ok {
		m.withdraw()
		s.confirmed.insert(m, tenant)
		m.Source.hold()
	}
	return evicted
}

// victim returns the member to evict so that the tenant can add one to c, or nil if there is room.
// It returns false if there is neither room nor a victim.
//
// The tenant with the most members loses one if it has more than its share. Otherwise the
// requesting tenant loses one of its own.
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

// hold prevents the eviction of m and its sources until release. It is a no-op if m is nil.
func (m *Member[V]) hold() {
	for ; m != nil; m = m.Source {
		if m.holds++; m.holds == 1 {
			m.share.candidates.remove(m)
			m.share.reorder()
		}
	}
}

// release undoes one hold.
func (m *Member[V]) release() {
	for ; m != nil; m = m.Source {
		if m.holds--; m.holds == 0 {
			m.share.addCandidate(m)
			m.share.reorder()
		}
	}
}

// evict removes m and its dependents, which are on probation, from the Set and appends them to
// evicted. It is a no-op if m is nil.
func (m *Member[V]) evict(evicted []*Member[V]) []*Member[V] {
	if m == nil {
		return evicted
	}
	for dependent := range m.dependents {
		evicted = dependent.evict(evicted)
	}
	if m.confirmed() {
		m.Source.release()
	}
	m.withdraw()
	if m.Source != nil {
		delete(m.Source.dependents, m)
	}
	return append(evicted, m)
}

// confirmed reports whether m, which must be in the Set, is confirmed.
func (m *Member[V]) confirmed() bool { return m.share.class.confirmed }

func (m *Member[V]) addDependent(dependent *Member[V]) {
	if m.dependents == nil {
		m.dependents = map[*Member[V]]struct{}{}
	}
	m.dependents[dependent] = struct{}{}
}

func (m *Member[V]) withdraw() {
	sh := m.share
	m.share = nil
	sh.class.count--
	sh.count--
	if m.holds == 0 {
		sh.candidates.remove(m)
	}
	if sh.count > 0 {
		sh.reorder()
		return
	}
	sh.class.shares.remove(sh)
	delete(sh.class.tenants, sh.tenant)
}

func newClass[V any](confirmed bool) class[V] {
	larger := func(a, b *share[V]) bool {
		if a.canLose() != b.canLose() {
			return a.canLose()
		}
		return a.count > b.count
	}
	return class[V]{
		confirmed: confirmed,
		tenants:   map[string]*share[V]{},
		shares:    queue[*share[V]]{less: larger, place: func(sh *share[V]) *int32 { return &sh.index }},
	}
}

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
	if m.holds == 0 {
		sh.addCandidate(m)
	}
	sh.reorder()
}

func older[V any](a, b *Member[V]) bool { return a.rank < b.rank }
func place[V any](m *Member[V]) *int32  { return &m.index }

func (sh *share[V]) canLose() bool { return len(sh.candidates.items) > 0 }

func (sh *share[V]) addCandidate(m *Member[V]) {
	m.rank = m.used
	sh.candidates.add(m)
}

// leastRecentlyUsed returns the least recently used candidate. It reorders the candidates as needed,
// so that Use does not have to.
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

// reorder restores the order of the shares after sh has changed.
func (sh *share[V]) reorder() { sh.class.shares.fix(sh) }
