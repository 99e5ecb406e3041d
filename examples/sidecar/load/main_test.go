package main

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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
