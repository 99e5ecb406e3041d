package main

import (
	"context"
	"math"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/examples/sidecar/flood"
	"github.com/irsakit/irsakit/internal/test/testenv"
)

// TestMain runs the tests, or the command itself if LOAD is set.
func TestMain(m *testing.M) {
	if os.Getenv("LOAD") != "" {
		main()
		return
	}
	testenv.Clear()
	os.Exit(m.Run())
}

func TestMeasureLoadsSidecarProcess(t *testing.T) {
	require.NoError(t, measure(t.Context(), 300, time.Second))
}

func TestGenerateLoadAcceptsAnyRate(t *testing.T) {
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for _, rate := range []int{math.MinInt, -1, 0, math.MaxInt} {
		require.NotPanics(t, func() { generateLoad(done, "http://127.0.0.1/", "token", rate, time.Second) })
	}
}

func TestMeasureFloodsServesDuringEachKind(t *testing.T) {
	require.NoError(t, measureFlood(t.Context(), flood.Kinds()[0], floodOptions{clients: 64, reconnect: time.Second}, time.Second))
}
