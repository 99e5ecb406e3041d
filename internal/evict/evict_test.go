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
	"github.com/irsakit/irsakit/internal/test/testsize"
)

type member = evict.Member[string]

// comparison performs the same operations on a Set and on a model.
type comparison struct {
	t      *testing.T
	random *rand.Rand
	set    *evict.Set[string]
	model  *model
}

func TestSetMatchesModel(t *testing.T) {
	for seed := range uint64(testsize.Choose(100, 300, 300)) {
		random := rand.New(rand.NewPCG(seed, 1))
		limit, tenants := 1+random.IntN(12), 1+random.IntN(8)
		c := &comparison{t, random, evict.New[string](limit), &model{max: limit}}
		for range 500 {
			c.step(tenants)
			c.model.check(t)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

func (c *comparison) step(tenants int) {
	var chosen *entry
	if n := len(c.model.members); n > 0 {
		chosen = c.model.members[c.random.IntN(n)]
	}
	switch n := c.random.IntN(4); {
	case chosen == nil || n == 0:
		c.add(chosen, fmt.Sprint(min(c.random.IntN(tenants), c.random.IntN(tenants))))
	case n == 1:
		c.confirm(chosen)
	default:
		c.set.Use(chosen.member)
		c.model.use(chosen.member)
	}
}

// add adds a member that sometimes has the given source.
func (c *comparison) add(source *entry, tenant string) {
	added := &member{}
	if source != nil && c.random.IntN(2) == 0 {
		added.Source = source.member
	}
	_, possible := c.model.victim(true, tenant, added)
	possible = possible || slices.ContainsFunc(c.model.members, func(e *entry) bool { return e.confirmed && e.tenant == tenant })
	want, ok := c.model.victim(false, tenant, added)
	got, ok2 := c.set.Add(added, tenant)
	assert.Equal(c.t, possible && ok, ok2)
	if !ok2 {
		assert.Empty(c.t, got)
		return
	}
	c.evict(want, got, tenant, added)
	c.model.members = append(c.model.members, &entry{member: added, tenant: tenant})
	c.model.use(added)
}

func (c *comparison) confirm(chosen *entry) {
	want, ok := c.model.victim(true, chosen.tenant, chosen.member)
	got := c.set.Confirm(chosen.member)
	if chosen.confirmed || !ok {
		assert.Empty(c.t, got)
		return
	}
	c.evict(want, got, chosen.tenant, chosen.member)
	chosen.confirmed = true
}

// evict checks that the Set evicted the same member as the model, along with its dependents.
func (c *comparison) evict(want *member, got []*member, tenant string, asking *member) {
	if len(got) == 0 {
		assert.Nil(c.t, want)
		return
	}
	victim := got[len(got)-1]
	c.requireSame(want, victim, tenant, asking)
	before := len(c.model.members)
	c.model.evict(victim)
	assert.Len(c.t, got, before-len(c.model.members))
	for _, m := range got {
		assert.Nil(c.t, c.model.find(m))
	}
}

// requireSame checks that the Set evicted the same member as the model. If other tenants have equally
// many members, any of them may lose its oldest.
func (c *comparison) requireSame(want, got *member, tenant string, asking *member) {
	if want == got {
		return
	}
	require.NotNil(c.t, want)
	require.NotNil(c.t, got)
	a, b := c.model.find(want), c.model.find(got)
	assert.NotEqual(c.t, tenant, b.tenant)
	assert.Equal(c.t, c.model.count(a), c.model.count(b))
	assert.Same(c.t, got, c.model.oldest(b, asking))
}

// However many members other tenants add, a tenant does not lose a confirmed member as long as it has
// no more than its share.
func TestSetProtectsTenantsWithinTheirShare(t *testing.T) {
	s := evict.New[string](100)
	victim := map[*member]bool{}
	for range 5 {
		m := &member{}
		_, ok := s.Add(m, "victim")
		require.True(t, ok)
		require.Empty(t, s.Confirm(m))
		victim[m] = true
	}
	evictsNone := func(evicted []*member) {
		require.False(t, slices.ContainsFunc(evicted, func(m *member) bool { return victim[m] }))
	}
	for i := range 10_000 {
		m := &member{}
		evicted, ok := s.Add(m, "hostile")
		require.True(t, ok)
		evictsNone(evicted)
		if i%2 == 0 {
			evictsNone(s.Confirm(m))
		}
	}
}

func TestSetRejectsNewTenantIfAllOthersHaveOneMember(t *testing.T) {
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

// A tenant within its share does not lose members, even if the members of a larger tenant are in use.
// Members on probation do not use their sources.
func TestSetProtectsSharesIfLargestTenantCannotLose(t *testing.T) {
	for _, confirmed := range []bool{true, false} {
		s := evict.New[string](16)
		add := func(m *member, tenant string) {
			_, ok := s.Add(m, tenant)
			require.True(t, ok)
		}
		for i := range 8 {
			m, holder := &member{}, &member{}
			add(m, "large")
			require.Empty(t, s.Confirm(m))
			if confirmed {
				holder.Source = m
			} else {
				add(&member{Source: m}, "large")
			}
			add(holder, fmt.Sprint("holder", i/2))
			require.Empty(t, s.Confirm(holder))
		}
		_, ok := s.Add(&member{}, "other")
		assert.Equal(t, !confirmed, ok, "each holder has 2 of 16, and its share is 2")
	}
}

// crowd is a full Set whose tenants add members.
type crowd struct {
	set     *evict.Set[string]
	tenants int
	all     []*member
	took    time.Duration
}

func newCrowd(limit int) *crowd {
	c := &crowd{set: evict.New[string](limit), tenants: limit / 2}
	c.add(3 * limit)
	c.took = 0
	return c
}

func (c *crowd) add(n int) {
	start := time.Now()
	for range n {
		m, i := &member{}, len(c.all)
		if _, ok := c.set.Add(m, fmt.Sprint(i%c.tenants)); ok && i%2 == 0 {
			c.set.Confirm(m)
		}
		c.all = append(c.all, m)
		c.set.Use(c.all[i-i%100])
	}
	c.took += time.Since(start)
}

// TestSetTimeDoesNotGrowWithSize alternates between a small and a large Set, so that other load on
// the machine slows down both.
func TestSetTimeDoesNotGrowWithSize(t *testing.T) {
	small, large := newCrowd(100), newCrowd(10_000)
	for range 100 {
		small.add(500)
		large.add(500)
	}
	assert.Less(t, large.took, 20*small.took)
}
