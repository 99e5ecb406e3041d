package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// The program itself says which promise was not kept.
func TestEveryPromiseIsKeptAndShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		require.NoError(t, control(t.Context(), &out, irsatest.New(t)))
		assert.Equal(t, 5, strings.Count(out.String(), "-- "), out.String())
		assert.Greater(t, strings.Count(out.String(), "\n"), 40)
		assert.NotContains(t, out.String(), "\x1b", "no rewriting but on a terminal")
	})
}

func TestItEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, run(ctx, new(bytes.Buffer)), context.DeadlineExceeded)
}

func TestABrokenPromiseIsAnError(t *testing.T) {
	good := tally{served: 100, waited: 10}
	for name, bad := range map[string][3]tally{
		"a failure at first":      {{refused: 1}, good, good},
		"a wait for a refresh":    {good, {waited: 11}, good},
		"a failure in the outage": {good, good, {waited: 10, refused: 1}},
		"a wait in the outage":    {good, good, {waited: 11}},
	} {
		assert.Error(t, verify(bad[0], bad[1], bad[2], nil), name)
	}
}
