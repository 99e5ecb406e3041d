package irsa_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
)

// TestErrorAdviceRepairsRandomPairs breaks two things in each random setup. Following the advice in one
// error after the other must repair both, so no advice may recommend what has already been done. The
// number in the name of a subtest is its seed.
func TestErrorAdviceRepairsRandomPairs(t *testing.T) {
	// The advice about partitions offers alternatives, of which one is right.
	all := slices.DeleteFunc(breakages(), func(b breakage) bool { return b.unknowable != "" || b.kind == "partition" })
	for i := range testsize.Choose(20, 60, 1000) {
		random := rand.New(rand.NewPCG(uint64(i), 2))
		a, b := all[random.IntN(len(all))], all[random.IntN(len(all))]
		both, ok := combine(a, b)
		if !ok {
			continue
		}
		t.Run(fmt.Sprintf("%d %s: %s; %s: %s", i, a.kind, a.name, b.kind, b.name), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, random, both)
				require.NoError(t, s.credentials(), "the setup works")
				a.breaks(s)
				b.breaks(s)
				s.restart()
				var texts []string
				err := s.credentials()
				for range 10 {
					if err == nil {
						return
					}
					texts = append(texts, adviceOf(t, err))
					err = s.progress(err)
				}
				require.NoError(t, err, "%q", texts)
			})
		})
	}
}

// combine returns a breakage with the requirements of both, and reports whether a site can have both.
func combine(a, b breakage) (*breakage, bool) {
	both := &breakage{
		application: max(a.application, b.application),
		ownIssuer:   a.ownIssuer || b.ownIssuer, eksIssuer: a.eksIssuer || b.eksIssuer, noFIPS: a.noFIPS || b.noFIPS,
		externalID: a.externalID || b.externalID, claimTags: a.claimTags || b.claimTags, claimIdentity: a.claimIdentity || b.claimIdentity,
		transitive: a.transitive || b.transitive, chainTags: a.chainTags || b.chainTags,
	}
	sameApplication := a.application == b.application || a.application == either || b.application == either
	return both, a.kind != b.kind && sameApplication && (!both.ownIssuer || !both.eksIssuer)
}

var podName = regexp.MustCompile(`delete pod \S+`)

// progress makes the first change in the advice of err that leads to other advice, and returns the
// resulting error. Changes of the environment that do not are undone.
func (s *site) progress(err error) error {
	advice := podName.ReplaceAllString(adviceOf(s.T, err), "")
	for _, remedy := range remedies(adviceOf(s.T, err)) {
		environ := maps.Clone(s.environ)
		remedy(s)
		if err = s.credentials(); err == nil || podName.ReplaceAllString(adviceOf(s.T, err), "") != advice {
			return err
		}
		if !maps.Equal(environ, s.environ) {
			s.environ = environ
			s.restart()
		}
	}
	return err
}
