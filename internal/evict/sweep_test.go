package evict_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/evict"
)

// unneeded is how long after its last use a member is no longer needed.
const unneeded = time.Hour + time.Second

// If there is no room, members that have not been needed for an hour are evicted.
func TestSetSweepsUnneededMembers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		elapse func(*evict.Set[string], []*member)
		kept   []int // among the chain 0, 1 and the members 2, 3
	}{
		{"just used", func(*evict.Set[string], []*member) { time.Sleep(unneeded - 2*time.Second) }, []int{0, 1, 2, 3}},
		{"unused", func(*evict.Set[string], []*member) { time.Sleep(unneeded) }, []int{}},
		{"one used", func(s *evict.Set[string], all []*member) { time.Sleep(unneeded); s.Use(all[2]) }, []int{2}},
		{"one needed", func(s *evict.Set[string], all []*member) {
			s.Keep(all[3], time.Hour)
			s.Keep(all[3], -time.Hour)
			time.Sleep(time.Hour + unneeded - 2*time.Second)
		}, []int{3}},
		{"one no longer needed", func(s *evict.Set[string], all []*member) { s.Keep(all[3], time.Hour); time.Sleep(time.Hour + unneeded) }, []int{}},
		{"chain needed", func(s *evict.Set[string], all []*member) { s.Keep(all[1], time.Hour); time.Sleep(unneeded) }, []int{0, 1}},
	} {
		for _, confirmed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, confirmed %t", tt.name, confirmed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := evict.New[string](4)
					all := []*member{{}, {}, {}, {}}
					all[1].Source = all[0]
					for i, m := range all {
						_, ok := s.Add(m, fmt.Sprint("tenant", i))
						require.True(t, ok)
						if confirmed {
							require.Empty(t, s.Confirm(m))
						}
					}
					tt.elapse(s, all)
					evicted, ok := s.Add(&member{}, "another")
					assert.Equal(t, len(tt.kept) < 4, ok)
					for _, i := range tt.kept {
						assert.NotContains(t, evicted, all[i])
					}
					if !confirmed { // a confirmed chain is evicted from its end, its source by the next sweep
						assert.Len(t, evicted, 4-len(tt.kept))
					}
				})
			})
		}
	}
}

// If there is no room, a call visits all members, but at most once a minute.
func TestSetSweepsOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := evict.New[string](2)
		add := func(m *member, tenant string) (int, bool) {
			evicted, ok := s.Add(m, tenant)
			return len(evicted), ok
		}
		first, second := &member{}, &member{}
		add(first, "first")
		time.Sleep(2 * time.Second)
		add(second, "second")
		time.Sleep(unneeded - 2*time.Second)
		n, ok := add(&member{}, "third")
		assert.Equal(t, 1, n)
		assert.True(t, ok)
		time.Sleep(time.Minute - 1)
		_, ok = add(&member{}, "fourth")
		assert.False(t, ok)
		time.Sleep(time.Nanosecond)
		n, ok = add(&member{}, "fourth")
		assert.Equal(t, 1, n)
		assert.True(t, ok)
	})
}

// A member that could not be confirmed for lack of room is confirmed once other members are unneeded.
// It is not evicted itself.
func TestSetSweepsToConfirm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := evict.New[string](2)
		waiting, first, second := &member{}, &member{}, &member{}
		for i, m := range []*member{waiting, first, second} {
			_, ok := s.Add(m, fmt.Sprint("tenant", i))
			require.True(t, ok)
			if m != waiting {
				require.Empty(t, s.Confirm(m))
			}
		}
		require.Empty(t, s.Confirm(waiting), "there is no room")
		time.Sleep(unneeded)
		assert.ElementsMatch(t, []*member{first, second}, s.Confirm(waiting))
		_, ok := s.Add(first, "tenant1")
		assert.True(t, ok)
		assert.Empty(t, s.Confirm(waiting))
		assert.Empty(t, s.Confirm(first))
		_, ok = s.Add(second, "another")
		assert.False(t, ok, "both are confirmed")
	})
}
