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

// The program itself returns an error for an unmet guarantee.
func TestControllerMeetsGuarantees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		require.NoError(t, runController(t.Context(), &out, irsatest.New(t)))
		assert.Equal(t, 5, strings.Count(out.String(), "-- "), out.String())
		assert.Greater(t, strings.Count(out.String(), "\n"), 40)
		assert.NotContains(t, out.String(), "\x1b", "lines are rewritten on a terminal only")
	})
}

func TestRunStopsWithContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, run(ctx, new(bytes.Buffer)), context.DeadlineExceeded)
}

func TestVerifyReportsUnmetGuarantee(t *testing.T) {
	good := counts{served: 100, waited: 10}
	for name, bad := range map[string][3]counts{
		"failure of the first credentials": {{failed: 1}, good, good},
		"wait for a refresh":               {good, {waited: 11}, good},
		"failure during the outage":        {good, good, {waited: 10, failed: 1}},
		"wait during the outage":           {good, good, {waited: 11}},
	} {
		assert.Error(t, verify(bad[0], bad[1], bad[2], nil), name)
	}
}
