package irsametrics_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsametrics"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// kinds maps the Go names of irsa's error kinds to their values.
var kinds = map[string]error{
	"ErrNotConfigured": irsa.ErrNotConfigured, "ErrTokenFile": irsa.ErrTokenFile, "ErrTokenExpired": irsa.ErrTokenExpired,
	"ErrTokenRejected": irsa.ErrTokenRejected, "ErrAccessDenied": irsa.ErrAccessDenied, "ErrThrottled": irsa.ErrThrottled,
	"ErrUnavailable": irsa.ErrUnavailable, "ErrInvalidRequest": irsa.ErrInvalidRequest, "ErrClosed": irsa.ErrClosed, "ErrRejected": irsa.ErrRejected,
}

// snakeCase returns the label value for a kind's Go name.
func snakeCase(name string) string {
	parts := regexp.MustCompile(`[A-Z][a-z]+`).FindAllString(strings.TrimPrefix(name, "Err"), -1)
	return strings.ToLower(strings.Join(parts, "_"))
}

func TestKindLabelsAreDistinct(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../errors.go", nil, 0)
	require.NoError(t, err)
	var declared []string
	for _, declaration := range file.Decls {
		if vars, ok := declaration.(*ast.GenDecl); ok && vars.Tok == token.VAR {
			for _, spec := range vars.Specs {
				declared = append(declared, spec.(*ast.ValueSpec).Names[0].Name)
			}
		}
	}
	noStatus := []string{"ErrNotInjected", "ErrPoolFull"} // returned by New and Pool.Provider, but never a Status.Kind
	require.ElementsMatch(t, declared, append(slices.Collect(maps.Keys(kinds)), noStatus...))

	m := irsametrics.New()
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	_, pod := newPod(t)
	p := newProvider(t, pod.Options)
	m.Add(p)
	for _, kind := range kinds {
		m.Observe(irsa.Event{Kind: irsa.EventRefreshFailed, Status: irsa.Status{RoleARN: pod.RoleARN(), Kind: kind}})
	}
	values := gather(t, registry)
	for name := range kinds {
		assert.InDelta(t, 1, values[attempts(snakeCase(name), "failure", p.Status())], 0, name)
	}
}

func TestObserveIgnoresLateRotations(t *testing.T) {
	m := irsametrics.New()
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	_, pod := newPod(t)
	p := newProvider(t, pod.Options)
	m.Add(p)
	for _, issued := range []int64{1, 1, 2, 1, 2} {
		m.Observe(irsa.Event{Kind: irsa.EventTokenRotated, Status: irsa.Status{RoleARN: pod.RoleARN(), TokenIssued: time.Unix(issued, 0)}})
	}
	assert.InDelta(t, 1, gather(t, registry)[series("irsa_token_rotations_total", pod.RoleARN(), "")], 0)
	runtime.KeepAlive(p)
}

func TestMetricsRemoveSeriesWithLastProvider(t *testing.T) {
	_, pod := newPod(t)
	m := irsametrics.New()
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	first, second := newProvider(t, pod.Options), newProvider(t, pod.Options)
	_, err := first.Retrieve(t.Context())
	require.NoError(t, err)
	m.Add(first)
	m.Add(second)
	require.NoError(t, second.Close())
	assert.InDelta(t, 1, gather(t, registry)[series("irsa_credentials_valid", pod.RoleARN(), "")], 0)
	require.NoError(t, first.Close())
	assert.Empty(t, gather(t, registry))
	m.Observe(irsa.Event{Kind: irsa.EventRefreshed, Status: irsa.Status{RoleARN: pod.RoleARN()}})
	assert.Empty(t, gather(t, registry), "a late event creates no series")
}

func TestObserveIgnoresUnaddedProviders(t *testing.T) {
	m := irsametrics.New()
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	m.Observe(irsa.Event{Kind: irsa.EventRefreshFailed, Status: irsa.Status{RoleARN: "not added", Kind: irsa.ErrThrottled}})
	m.Observe(irsa.Event{Kind: irsa.EventRejected, Status: irsa.Status{RoleARN: "not added", TokenIssued: time.Now()}})
	assert.Empty(t, gather(t, registry))
}

func TestCollectFollowsPrometheusConventions(t *testing.T) {
	k, pod := newPod(t)
	p, registry := newObserved(t, pod)
	lint := func() {
		problems, err := testutil.GatherAndLint(registry)
		require.NoError(t, err)
		assert.Empty(t, problems)
	}
	lint()
	_, err := p.Retrieve(t.Context())
	require.NoError(t, err)
	k.STS.Down()
	require.Error(t, p.Refresh(t.Context()))
	lint()
	require.NoError(t, p.Close())
	assert.Empty(t, gather(t, registry))
}

func TestCollectOmitsUnknownTimestamps(t *testing.T) {
	_, pod := newPod(t)
	_, registry := newObserved(t, pod)
	values := gather(t, registry)
	assert.Contains(t, values, series("irsa_credentials_valid", pod.RoleARN(), ""))
	for key := range values {
		assert.NotContains(t, key, "timestamp", "nothing has happened yet")
	}
}

func TestCollectReadsNewestProvider(t *testing.T) {
	_, pod := newPod(t)
	m := irsametrics.New()
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	first, second := newProvider(t, pod.Options), newProvider(t, pod.Options)
	_, err := first.Retrieve(t.Context())
	require.NoError(t, err)
	m.Add(first)
	m.Add(second)
	assert.Zero(t, gather(t, registry)[series("irsa_credentials_valid", pod.RoleARN(), "")])
	m.Add(first)
	assert.InDelta(t, 1, gather(t, registry)[series("irsa_credentials_valid", pod.RoleARN(), "")], 0)
	runtime.KeepAlive(first)
	runtime.KeepAlive(second)
}

func TestMetricsDoNotRetainDroppedProviders(t *testing.T) {
	_, pod := newPod(t)
	m := irsametrics.New()
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	func() {
		p, err := irsa.New(pod.Options)
		require.NoError(t, err)
		m.Add(p)
		assert.NotEmpty(t, gather(t, registry))
		runtime.KeepAlive(p)
	}()
	require.Eventually(t, func() bool {
		runtime.GC()
		return len(gather(t, registry)) == 0
	}, 10*time.Second, 10*time.Millisecond)
}

func TestMetricsAreSafeForConcurrentUse(t *testing.T) {
	_, pod := newPod(t)
	m := irsametrics.New()
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				p, err := irsa.New(pod.Options, func(o *irsa.Options) { o.Observe = m.Observe })
				if !assert.NoError(t, err) {
					return
				}
				m.Add(p)
				_, err = p.Retrieve(t.Context())
				assert.NoError(t, err)
				_, err = registry.Gather()
				assert.NoError(t, err)
				assert.NoError(t, p.Close())
			}
		})
	}
	all.Wait()
	assert.Empty(t, gather(t, registry))
}

// newPod returns a cluster and a pod whose role trusts its service account.
func newPod(t testing.TB) (*irsatest.Cluster, *irsatest.Pod) {
	t.Helper()
	k := irsatest.New(t)
	sa := k.ServiceAccount("shop", "cart")
	return k, k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
}

// newProvider returns a Provider that is closed when the test ends.
func newProvider(t testing.TB, optFns ...func(*irsa.Options)) *irsa.Provider {
	t.Helper()
	quiet := func(o *irsa.Options) { o.Logger = slog.New(slog.DiscardHandler) }
	p, err := irsa.New(append([]func(*irsa.Options){quiet}, optFns...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

// newObserved returns a Provider for the pod's role and a registry with its metrics.
func newObserved(t testing.TB, pod *irsatest.Pod) (*irsa.Provider, *prometheus.Registry) {
	t.Helper()
	m := irsametrics.New()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	p := newProvider(t, pod.Options, func(o *irsa.Options) { o.Observe = m.Observe })
	m.Add(p)
	return p, registry
}

// series formats a series of a Provider in the Prometheus text format.
func series(name, role, source string) string {
	return fmt.Sprintf("%s{role=%q,source=%q}", name, role, source)
}

// gather returns the value of each series. It omits histogram buckets.
func gather(t testing.TB, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var pairs []string
			for _, label := range m.GetLabel() {
				pairs = append(pairs, fmt.Sprintf("%s=%q", label.GetName(), label.GetValue()))
			}
			key := func(suffix string) string { return family.GetName() + suffix + "{" + strings.Join(pairs, ",") + "}" }
			switch {
			case m.GetHistogram() != nil:
				values[key("_count")], values[key("_sum")] = float64(m.GetHistogram().GetSampleCount()), m.GetHistogram().GetSampleSum()
			case m.GetSummary() != nil:
				values[key("_count")], values[key("_sum")] = float64(m.GetSummary().GetSampleCount()), m.GetSummary().GetSampleSum()
			case m.GetCounter() != nil:
				values[key("")] = m.GetCounter().GetValue()
			default:
				values[key("")] = m.GetGauge().GetValue()
			}
		}
	}
	return values
}
