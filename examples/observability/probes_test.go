package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/examples/observability/probes"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsametrics"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestReadyReportsWhetherCredentialsAreServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p, metrics := newObserved(t, pod)
		h := handler(p, metrics)
		checkReady := func(status int, text string) {
			t.Helper()
			got, body := get(h, "/readyz")
			assert.Equal(t, status, got)
			assert.Equal(t, text+"\n", body)
			got, _ = get(h, "/healthz")
			assert.Equal(t, http.StatusOK, got, "the process is alive without credentials")
		}

		k.STS.Down()
		start := time.Now()
		checkReady(http.StatusServiceUnavailable, "no credentials obtained yet")
		assert.Equal(t, probes.Patience, time.Since(start))
		time.Sleep(time.Minute)
		k.STS.Up()
		time.Sleep(10 * time.Second)
		checkReady(http.StatusOK, "ready")

		k.STS.Down()
		require.Error(t, p.Refresh(t.Context()))
		checkReady(http.StatusOK, "ready, but refresh is failing")
		time.Sleep(2 * time.Hour)
		checkReady(http.StatusServiceUnavailable, "credentials expired")

		require.NoError(t, p.Close())
		checkReady(http.StatusServiceUnavailable, "closed")
	})
}

// A pod that is not ready has no callers. Without callers, a Provider without valid credentials does
// not make attempts.
func TestReadyRetrievesCredentialsWithoutCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p, metrics := newObserved(t, pod)
		h := handler(p, metrics)
		_, _ = get(h, "/readyz")
		k.STS.Down()
		time.Sleep(2 * time.Hour)
		k.STS.Up()
		time.Sleep(2 * time.Hour)
		require.Equal(t, cache.Expired, p.Status().State)
		status, _ := get(h, "/readyz")
		assert.Equal(t, http.StatusOK, status)
		require.NoError(t, p.Healthy())
	})
}

func TestReadyDoesNotWaitForHangingSTS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p, metrics := newObserved(t, pod)
		k.STS.Fail(irsatest.Hang, -1)
		start := time.Now()
		status, _ := get(handler(p, metrics), "/readyz")
		assert.Equal(t, http.StatusServiceUnavailable, status)
		assert.Equal(t, probes.Patience, time.Since(start))
		k.STS.Recover()
	})
}

func TestReadyLimitsWaitingRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p, metrics := newObserved(t, pod)
		k.STS.Fail(irsatest.Hang, -1)
		h := handler(p, metrics)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { _, _ = get(h, "/readyz") })
		}
		synctest.Wait()
		start := time.Now()
		status, body := get(h, "/readyz")
		assert.Equal(t, http.StatusServiceUnavailable, status)
		assert.Equal(t, "no credentials obtained yet\n", body)
		assert.Zero(t, time.Since(start), "enough others wait")
		all.Wait()
		assert.Equal(t, probes.Patience, time.Since(start))
		k.STS.Recover()
	})
}

// newPod returns an in-memory cluster with a pod whose role trusts its service account.
func newPod(t *testing.T) (*irsatest.Cluster, *irsatest.Pod) {
	t.Helper()
	k := irsatest.New(t)
	sa := k.ServiceAccount("shop", "cart")
	return k, k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
}

// newObserved returns a Provider and its metrics. The Provider is closed when the test ends.
func newObserved(t *testing.T, pod *irsatest.Pod, optFns ...func(*irsa.Options)) (*irsa.Provider, *irsametrics.Metrics) {
	t.Helper()
	metrics := irsametrics.New()
	observed := func(o *irsa.Options) { o.Logger, o.Observe = slog.New(slog.DiscardHandler), metrics.Observe }
	p, err := irsa.New(append(optFns, pod.Options, observed)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	metrics.Add(p)
	return p, metrics
}

func get(h http.Handler, path string) (status int, body string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}
