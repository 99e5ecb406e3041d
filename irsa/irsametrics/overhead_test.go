package irsametrics_test

import (
	"bytes"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsametrics"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestRetrieveDoesNotAllocateWhenObserved(t *testing.T) {
	_, pod := newPod(t)
	p := newFullyObserved(t, pod)
	ctx := t.Context()
	allocations := testing.AllocsPerRun(10_000, func() {
		if _, err := p.Retrieve(ctx); err != nil {
			t.Error(err)
		}
	})
	assert.Zero(t, allocations)
}

// BenchmarkRetrieve compares a cached Retrieve of a Provider with and without observation,
// in alternating rounds. observed/bare is the ratio of the medians.
//
//	go test -run '^$' -bench . -benchtime 1000x .
func BenchmarkRetrieve(b *testing.B) {
	_, pod := newPod(b)
	ctx := b.Context()
	providers := map[string]*irsa.Provider{"bare": newProvider(b, pod.Options), "observed": newFullyObserved(b, pod)}
	rounds := map[string][]float64{}
	order := []string{"bare", "observed"}
	const calls = 10_000
	for b.Loop() {
		for _, name := range order {
			p := providers[name]
			start := time.Now()
			for range calls {
				if _, err := p.Retrieve(ctx); err != nil {
					b.Fatal(err)
				}
			}
			rounds[name] = append(rounds[name], float64(time.Since(start).Nanoseconds())/calls)
		}
		slices.Reverse(order) // so that neither always goes first
	}
	bare, observed := median(rounds["bare"]), median(rounds["observed"])
	b.ReportMetric(bare, "bare-ns")
	b.ReportMetric(observed, "observed-ns")
	b.ReportMetric(observed/bare, "observed/bare")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// newFullyObserved returns a Provider that has credentials, a logger, an observer, and metrics that
// have been scraped.
func newFullyObserved(t testing.TB, pod *irsatest.Pod) *irsa.Provider {
	t.Helper()
	m := irsametrics.New()
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	p := newProvider(t, pod.Options, func(o *irsa.Options) {
		o.Logger = slog.New(slog.NewJSONHandler(&bytes.Buffer{}, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Observe = m.Observe
	})
	m.Add(p)
	_, err := p.Retrieve(t.Context())
	require.NoError(t, err)
	assert.InDelta(t, 1, gather(t, registry)[series("irsa_credentials_valid", pod.RoleARN(), "")], 0)
	return p
}
