package evict_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// model is a plain and slow version of a Set.
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

func (m *model) held(of *member, added *member) bool {
	return added != nil && added.Source == of || slices.ContainsFunc(m.members, func(e *entry) bool { return e.Source == of })
}

func (m *model) victim(confirmed bool, tenant string, added *member) (*member, bool) {
	counts, total := map[string]int{tenant: 0}, 0
	oldest := map[string]*member{}
	for _, e := range m.members {
		if e.confirmed != confirmed {
			continue
		}
		total++
		counts[e.tenant]++
		if oldest[e.tenant] == nil && !m.held(e.member, added) {
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

// count returns how many members of its class e's tenant has.
func (m *model) count(e *entry) (n int) {
	for _, other := range m.members {
		if other.tenant == e.tenant && other.confirmed == e.confirmed {
			n++
		}
	}
	return n
}

// oldest returns the least recently used member of e's tenant in its class that is no source.
func (m *model) oldest(e *entry, added *member) *member {
	for _, other := range m.members {
		if other.tenant == e.tenant && other.confirmed == e.confirmed && !m.held(other.member, added) {
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
