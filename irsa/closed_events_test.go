package irsa_test

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
)

// An evicted Provider can outlive its Pool, and a request can outlive its Provider. Observe must not
// be called after Close in either case.
func TestObserveIsNotCalledAfterClose(t *testing.T) {
	for name, open := range map[string]func(*testing.T, func(*irsa.Options)) (*irsa.Provider, func() error){
		"Provider": func(t *testing.T, observe func(*irsa.Options)) (*irsa.Provider, func() error) {
			_, pod := newPod(t)
			p := newProvider(t, pod.Options, observe)
			retrieve(t, p)
			return p, p.Close
		},
		"Pool": func(t *testing.T, observe func(*irsa.Options)) (*irsa.Provider, func() error) {
			_, pod, tenants := newTenants(t, 2)
			pool := newPool(t, pod, func(o *irsa.PoolOptions) { observe(&o.Options); o.MaxRoles = 1 })
			evicted := pooled(t, pool, tenants[0])
			retrieve(t, evicted)
			retrieve(t, pooled(t, pool, tenants[1]))
			return evicted, pool.Close
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var events atomic.Int32
				p, closeAll := open(t, func(o *irsa.Options) { o.Observe = func(irsa.Event) { events.Add(1) } })
				s := &service{judge: func(string) string {
					require.NoError(t, closeAll()) // while the request is in flight
					return "ExpiredToken"
				}}
				synctest.Wait()
				before := events.Load()
				require.Positive(t, before)
				require.Error(t, identify(t.Context(), s.client(p.AWSConfig(), "service.example")))
				for range 120 { // attempts fail because the Pool is closed
					_, _ = p.Retrieve(t.Context())
					time.Sleep(time.Minute)
				}
				assert.Equal(t, before, events.Load())
			})
		})
	}
}

// The watch can read a new token while Close waits for it.
func TestProviderCloseWaitsForLogHandlerAfterLastPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int32
		_, pod := newPod(t)
		p := newProvider(t, pod.Options, func(o *irsa.Options) {
			o.Logger = slog.New(&handler{enabled: func() {}, handle: func() {
				running.Add(1)
				time.Sleep(time.Second)
				running.Add(-1)
			}})
		})
		retrieve(t, p)
		pod.RemoveToken()
		time.Sleep(time.Minute + 5*time.Millisecond) // the poll finds no file, and tries again in 5 ms
		pod.Rotate()
		start := time.Now()
		require.NoError(t, p.Close())
		assert.Greater(t, time.Since(start), time.Second, "the rotation is logged")
		assert.Zero(t, running.Load())
	})
}
