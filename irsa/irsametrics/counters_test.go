package irsametrics_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsametrics"
)

// Prometheus takes a counter that decreases for one that was reset, and counts its value again.
func TestCollectCountsCallersOfAllProviders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		k.STS.Down()
		m := irsametrics.New()
		registry := prometheus.NewRegistry()
		registry.MustRegister(m)
		fail := func(p *irsa.Provider, n int) {
			for range n {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				_, err := p.Retrieve(ctx)
				cancel()
				require.Error(t, err)
			}
		}
		first, second, third := newProvider(t, pod.Options), newProvider(t, pod.Options), newProvider(t, pod.Options)
		requireCount := func(want float64) {
			t.Helper()
			waits, waited := 0.0, 0.0
			for _, p := range []*irsa.Provider{first, second, third} {
				waits += float64(p.Status().WaitCount)
				waited += p.Status().WaitDuration.Seconds()
			}
			values := gather(t, registry)
			require.InDelta(t, want, values[series("irsa_caller_errors_total", pod.RoleARN(), "")], 0)
			require.InDelta(t, waits, values[series("irsa_caller_wait_seconds_count", pod.RoleARN(), "")], 0)
			require.InDelta(t, waited, values[series("irsa_caller_wait_seconds_sum", pod.RoleARN(), "")], 1e-6)
		}
		m.Add(first)
		fail(first, 3)
		requireCount(3)
		m.Add(second)
		requireCount(3)
		fail(second, 2)
		fail(first, 1)
		requireCount(6)
		requireCount(6) // a scrape does not change anything
		m.Add(first)
		requireCount(6)

		m.Add(third)
		fail(third, 1)
		require.NoError(t, third.Close()) // before it was scraped
		requireCount(7)
		m.Add(third) // has no effect
		requireCount(7)
		require.NoError(t, second.Close())
		requireCount(7)
		fail(first, 1)
		requireCount(8)
		require.NoError(t, first.Close())
		assert.Empty(t, gather(t, registry))

		fourth := newProvider(t, pod.Options)
		m.Add(fourth)
		assert.Zero(t, gather(t, registry)[series("irsa_caller_errors_total", pod.RoleARN(), "")], "the series is new")
		require.NoError(t, fourth.Close())
	})
}
