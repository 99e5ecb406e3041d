package irsa_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
)

// TestErrorAdviceRepairsRandomSetups breaks one thing in each random setup. The text of the advice
// must be sufficient to repair it. The number in the name of a subtest is its seed.
func TestErrorAdviceRepairsRandomSetups(t *testing.T) {
	all := breakages()
	for i := range testsize.Choose(25, 80, 1000) {
		b := all[i*31%len(all)]
		t.Run(fmt.Sprintf("%d %s: %s", i, b.kind, b.name), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, rand.New(rand.NewPCG(uint64(i), 1)), &b)
				require.NoError(t, s.credentials(), "the setup works")
				b.breaks(s)
				s.restart()
				s.checkRepair(&b)
			})
		})
	}
}

// checkRepair follows the advice for the failure.
func (s *site) checkRepair(b *breakage) {
	err := s.credentials()
	require.Error(s, err, "the setup is broken")
	texts := s.repair(err)
	if b.unknowable == "" {
		assert.Empty(s, texts, "%s %v", b.name, s.environ)
	} else {
		assert.NotEmpty(s, texts, "the advice repairs it: it is not unknowable")
	}
}

// repair follows the advice in err. It returns nil if the program then has credentials, and otherwise
// the texts. If a token contains tags or a source identity, repair also follows the advice in
// subsequent errors, because AWS names one denied action at a time and the library does not know which
// actions the token needs.
func (s *site) repair(err error) []string {
	var texts []string
	for range 1 + len(s.claims) {
		advice := adviceOf(s.T, err)
		texts = append(texts, advice)
		for _, remedy := range remedies(advice) {
			environ := maps.Clone(s.environ)
			remedy(s)
			if err = s.credentials(); err == nil {
				return nil
			}
			if !maps.Equal(environ, s.environ) {
				s.environ = environ
				s.restart()
			}
		}
		if adviceOf(s.T, err) == advice {
			break
		}
	}
	return texts
}

// TestErrorAdviceRepairsEveryKind checks that the setups cover every kind of failure, and that at most
// one in ten lacks a remedy.
func TestErrorAdviceRepairsEveryKind(t *testing.T) {
	names, kinds, unknowable := map[string]bool{}, map[string]bool{}, 0
	for _, b := range breakages() {
		assert.False(t, names[b.kind+b.name], b.name)
		names[b.kind+b.name], kinds[b.kind] = true, true
		if b.unknowable != "" {
			unknowable++
		}
	}
	assert.Equal(t, []string{"audience", "boundary", "clock", "endpoint", "issuer", "key", "partition", "policy", "region", "subject", "tags"}, slices.Sorted(maps.Keys(kinds)))
	assert.LessOrEqual(t, 10*unknowable, len(names))
}
