package lazyregexp_test

import (
	"regexp"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/internal/lazyregexp"
)

func TestRegexpMatchesLikeStandardLibrary(t *testing.T) {
	const expr = `^a(b+)(c)?`
	lazy, eager := lazyregexp.New(expr), regexp.MustCompile(expr)
	for _, s := range []string{"", "a", "abb", "abbc", "xabb"} {
		assert.Equal(t, eager.MatchString(s), lazy.MatchString(s), s)
		assert.Equal(t, eager.FindStringSubmatch(s), lazy.FindStringSubmatch(s), s)
		assert.Equal(t, eager.FindStringSubmatchIndex(s), lazy.FindStringSubmatchIndex(s), s)
	}
}

func TestRegexpIsSafeForConcurrentUse(t *testing.T) {
	lazy := lazyregexp.New(`b+`)
	var callers sync.WaitGroup
	for range 10 {
		callers.Go(func() { assert.True(t, lazy.MatchString("abc")) })
	}
	callers.Wait()
}

func TestNewDoesNotCompile(t *testing.T) {
	lazy := lazyregexp.New(`(`)
	assert.Panics(t, func() { lazy.MatchString("a") })
}
