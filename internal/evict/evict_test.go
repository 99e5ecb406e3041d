package evict_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/evict"
)

type member = evict.Member[string]

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

func TestSetAgreesWithModel(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		limit, tenants := 1+random.IntN(12), 1+random.IntN(8)
		s, m := evict.New[string](limit), &model{max: limit}
		// equal checks that the Set made a choice that the model allows: among tenants with equally
		// many members any may lose.
		equal := func(want, got *member, tenant string, added *member) {
			if want == got {
				return
			}
			require.NotNil(t, want)
			require.NotNil(t, got)
			a, b := m.find(want), m.find(got)
			require.NotEqual(t, tenant, b.tenant, "seed %d", seed)
			require.Equal(t, m.count(a), m.count(b), "seed %d", seed)
			require.Same(t, got, m.oldest(b, added), "seed %d", seed)
		}
		for i := range 500 {
			var chosen *entry
			if len(m.members) > 0 {
				chosen = m.members[random.IntN(len(m.members))]
			}
			switch n := random.IntN(4); {
			case chosen == nil || n == 0:
				tenant := fmt.Sprint(min(random.IntN(tenants), random.IntN(tenants)))
				added := &member{Value: fmt.Sprint(i)}
				if chosen != nil && random.IntN(2) == 0 {
					added.Source = chosen.member
				}
				_, possible := m.victim(true, tenant, added)
				possible = possible || slices.ContainsFunc(m.members, func(e *entry) bool { return e.confirmed && e.tenant == tenant })
				want, ok := m.victim(false, tenant, added)
				got, added2 := s.Add(added, tenant)
				require.Equal(t, possible && ok, added2, "seed %d", seed)
				if !added2 {
					require.Nil(t, got)
					continue
				}
				equal(want, got, tenant, added)
				m.remove(got)
				m.members = append(m.members, &entry{member: added, tenant: tenant})
				m.use(added)
			case n == 1:
				if want, ok := m.victim(true, chosen.tenant, nil); !chosen.confirmed && ok {
					got := s.Confirm(chosen.member)
					equal(want, got, chosen.tenant, nil)
					m.remove(got)
					chosen.confirmed = true
				} else {
					require.Nil(t, s.Confirm(chosen.member))
				}
			default:
				s.Use(chosen.member)
				m.use(chosen.member)
			}
			m.check(t)
		}
	}
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
		require.True(t, e.Source == nil || m.find(e.Source) != nil, "a source was evicted before %s", e.Value)
	}
	require.LessOrEqual(t, count[true], m.max)
	require.LessOrEqual(t, count[false], m.max)
}

// No tenant loses a confirmed member, however many the others add, as long as it has no more than its
// share.
func TestSetProtectsTenantsWithinTheirShare(t *testing.T) {
	s := evict.New[string](100)
	victim := map[*member]bool{}
	for range 5 {
		m := &member{}
		_, ok := s.Add(m, "victim")
		require.True(t, ok)
		require.Nil(t, s.Confirm(m))
		victim[m] = true
	}
	for i := range 10_000 {
		m := &member{}
		evicted, ok := s.Add(m, "hostile")
		require.True(t, ok)
		require.False(t, victim[evicted])
		if i%2 == 0 {
			require.False(t, victim[s.Confirm(m)])
		}
	}
}

func TestSetRejectsATenantWithoutMembersIfAllOthersHaveOne(t *testing.T) {
	s := evict.New[string](3)
	for i := range 3 {
		m := &member{}
		_, ok := s.Add(m, fmt.Sprint(i))
		require.True(t, ok)
		s.Confirm(m)
	}
	_, ok := s.Add(&member{}, "other")
	assert.False(t, ok)
	_, ok = s.Add(&member{}, "1")
	assert.True(t, ok)
}

func TestSetIsFast(t *testing.T) {
	s := evict.New[string](10_000)
	var all []*member
	start := time.Now()
	for i := range 200_000 {
		m := &member{}
		if _, ok := s.Add(m, fmt.Sprint(i%5_000)); ok && i%2 == 0 {
			s.Confirm(m)
		}
		all = append(all, m)
		s.Use(all[max(0, i-i%100)])
	}
	assert.Less(t, time.Since(start), 10*time.Second)
}
