package evict_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// model is a simple, slow version of a Set.
type model struct {
	max     int
	members []*entry // least recently used first
}

type entry struct {
	*member
	tenant    string
	confirmed bool
}

func (m *model) find(of *member) *entry {
	i := slices.IndexFunc(m.members, func(e *entry) bool { return e.member == of })
	if i < 0 {
		return nil
	}
	return m.members[i]
}

// use moves a member and its sources to the end.
func (m *model) use(of *member) {
	for ; of != nil; of = of.Source {
		e := m.find(of)
		m.remove(of)
		m.members = append(m.members, e)
	}
}

func (m *model) remove(of *member) {
	m.members = slices.DeleteFunc(m.members, func(e *entry) bool { return e.member == of })
}

// evict removes members along with their dependents.
func (m *model) evict(evicted ...*member) {
	for _, of := range evicted {
		m.remove(of)
		for _, e := range slices.Clone(m.members) {
			if e.Source == of {
				m.evict(e.member)
			}
		}
	}
}

// held reports whether a member is a source of a confirmed member, or of the member that is being
// added or confirmed.
func (m *model) held(of *member, asking *member) bool {
	return isSource(of, asking) || slices.ContainsFunc(m.members, func(e *entry) bool { return e.confirmed && isSource(of, e.member) })
}

func isSource(source, of *member) bool {
	for ; of != nil; of = of.Source {
		if of.Source == source {
			return true
		}
	}
	return false
}

func (m *model) victim(confirmed bool, tenant string, asking *member) (*member, bool) {
	counts, total := map[string]int{tenant: 0}, 0
	oldest := map[string]*member{}
	for _, e := range m.members {
		if e.confirmed != confirmed {
			continue
		}
		total++
		counts[e.tenant]++
		if oldest[e.tenant] == nil && !m.held(e.member, asking) {
			oldest[e.tenant] = e.member
		}
	}
	if total < m.max {
		return nil, true
	}
	most := tenant
	after := func(name string) int {
		if name == tenant {
			return counts[name] + 1
		}
		return counts[name]
	}
	for _, e := range m.members { // in a fixed order
		if e.confirmed == confirmed && oldest[e.tenant] != nil && after(e.tenant) > after(most) {
			most = e.tenant
		}
	}
	if after(most) <= m.max/len(counts) {
		most = tenant
	}
	return oldest[most], oldest[most] != nil
}

// count returns the number of members that e's tenant has in e's class.
func (m *model) count(e *entry) (n int) {
	for _, other := range m.members {
		if other.tenant == e.tenant && other.confirmed == e.confirmed {
			n++
		}
	}
	return n
}

// oldest returns the least recently used member of e's tenant and class that is not a source.
func (m *model) oldest(e *entry, asking *member) *member {
	for _, other := range m.members {
		if other.tenant == e.tenant && other.confirmed == e.confirmed && !m.held(other.member, asking) {
			return other.member
		}
	}
	return nil
}

func (m *model) check(t *testing.T) {
	count := map[bool]int{}
	for _, e := range m.members {
		count[e.confirmed]++
		require.True(t, e.Source == nil || m.find(e.Source) != nil, "a source was evicted")
	}
	require.LessOrEqual(t, count[true], m.max)
	require.LessOrEqual(t, count[false], m.max)
}
