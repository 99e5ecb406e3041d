package irsa_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// newPool returns a Pool for the pod that is closed at the end of the test.
func newPool(t *testing.T, pod *irsatest.Pod, optFns ...func(*irsa.PoolOptions)) *irsa.Pool {
	t.Helper()
	p, err := irsa.NewPool(append([]func(*irsa.PoolOptions){func(o *irsa.PoolOptions) { pod.Options(&o.Options) }}, optFns...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

func pooled(t *testing.T, p *irsa.Pool, opts irsa.RoleOptions) *irsa.Provider {
	t.Helper()
	provider, err := p.Provider(opts)
	require.NoError(t, err)
	return provider
}

// rolesOf returns roles that trust the pod's service account.
func rolesOf(k *irsatest.Cluster, sa *irsatest.ServiceAccount, n int) []irsa.RoleOptions {
	var out []irsa.RoleOptions
	for i := range n {
		out = append(out, irsa.RoleOptions{RoleARN: k.Role(fmt.Sprintf("tenant-%d", i), irsatest.Trust(sa)).ARN()})
	}
	return out
}

func newTenants(t *testing.T, n int) (*irsatest.Cluster, *irsatest.Pod, []irsa.RoleOptions) {
	t.Helper()
	k := newCluster(t)
	sa := k.ServiceAccount("shop", "cart")
	tenants := rolesOf(k, sa, n)
	return k, k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa))), tenants
}

func TestPoolServesManyRolesFromOneToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, pod, tenants := newTenants(t, 100)
		p := newPool(t, pod)
		keys := map[string]bool{}
		for _, tenant := range tenants {
			provider := pooled(t, p, tenant)
			assert.Same(t, provider, pooled(t, p, tenant))
			keys[retrieve(t, provider).AccessKeyID] = true
			assert.Equal(t, tenant.RoleARN, provider.Status().RoleARN)
			require.NoError(t, provider.Close(), "a no-op in a Pool")
			retrieve(t, provider)
		}
		assert.Len(t, keys, 100)
		assert.Equal(t, 100, k.STS.CallCount())
		assert.Equal(t, irsa.PoolStatus{
			Roles: 100, Calls: p.Status().Calls, Tenants: map[string]irsa.TenantStatus{pod.TokenFile(): {Roles: 100}},
		}, p.Status())
		assert.Equal(t, 32, p.Status().Calls.Slots)
		first := retrieve(t, pooled(t, p, irsa.RoleOptions{}))
		assert.NotEmpty(t, first.AccessKeyID, "AWS_ROLE_ARN is the default")
	})
}

func TestPoolRefreshesUsedRolesWithinMaxCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, pod, tenants := newTenants(t, testsize.Choose(40, 200, 200))
		k.STS.SetLatency(50 * time.Millisecond)
		p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxCalls = 5 })
		for _, tenant := range tenants {
			retrieve(t, pooled(t, p, tenant))
		}
		k.STS.ForgetCalls()
		for range 6 * 60 { // use every other tenant each minute for six hours
			for i := 0; i < len(tenants); i += 2 {
				start := time.Now()
				retrieve(t, pooled(t, p, tenants[i]))
				require.Zero(t, time.Since(start), "no caller waits")
			}
			require.LessOrEqual(t, p.Status().Calls.Running, 5)
			time.Sleep(time.Minute)
		}
		used := map[string]int{}
		for _, call := range k.STS.Calls() {
			used[call.RoleARN]++
		}
		assert.GreaterOrEqual(t, used[tenants[0].RoleARN], 6)
		assert.LessOrEqual(t, used[tenants[1].RoleARN], 2, "two unused lifetimes")
		start := time.Now()
		retrieve(t, pooled(t, p, tenants[1]))
		assert.Equal(t, 50*time.Millisecond, time.Since(start), "it resumes with one exchange")
	})
}

func TestPoolFailingRolesDoNotDelayOthers(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]irsatest.Fault{"hangs": irsatest.Hang, "is denied": irsatest.AccessDenied, "is throttled": irsatest.Throttling} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				half := testsize.Choose(8, 50, 50)
				k, pod, tenants := newTenants(t, 2*half)
				p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxCalls = 4 })
				for i := range half {
					role := k.Role(fmt.Sprintf("tenant-%d", i))
					role.Fail(fault, -1)
				}
				ctx, stop := context.WithCancel(t.Context())
				var callers sync.WaitGroup
				defer callers.Wait()
				defer stop()
				for _, tenant := range tenants[:half] {
					callers.Go(func() {
						for ctx.Err() == nil {
							_, _ = pooled(t, p, tenant).Retrieve(ctx)
							time.Sleep(100 * time.Millisecond)
						}
					})
				}
				time.Sleep(5 * time.Minute) // all of them have failed by now
				for _, tenant := range tenants[half:] {
					start := time.Now()
					retrieve(t, pooled(t, p, tenant))
					assert.LessOrEqual(t, time.Since(start), time.Second)
				}
				assert.GreaterOrEqual(t, p.Status().Failing, half*4/5)
			})
		})
	}
}

func TestPoolRotationWakesAllFailedRoles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, pod, tenants := newTenants(t, 50)
		pod.Rotate(irsatest.Invalid("expired"))
		p := newPool(t, pod)
		for _, tenant := range tenants {
			_, err := pooled(t, p, tenant).Retrieve(t.Context())
			require.ErrorIs(t, err, irsa.ErrTokenExpired)
		}
		assert.Equal(t, 50, p.Status().Failing)
		time.Sleep(time.Minute)
		before := k.STS.CallCount()
		time.Sleep(10 * time.Minute)
		assert.Equal(t, before, k.STS.CallCount(), "no callers")
		pod.Rotate()
		time.Sleep(3 * time.Second)
		assert.Zero(t, p.Status().Failing)
	})
}

func TestPoolCloseClosesRoles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod, tenants := newTenants(t, 3)
		p, err := irsa.NewPool(func(o *irsa.PoolOptions) { pod.Options(&o.Options); o.MaxRoles = 2 })
		require.NoError(t, err)
		evicted, kept := pooled(t, p, tenants[0]), pooled(t, p, tenants[1])
		retrieve(t, evicted)
		retrieve(t, kept)
		retrieve(t, pooled(t, p, tenants[2]))
		k.STS.Fail(irsatest.Hang, -1)
		var caller sync.WaitGroup
		caller.Go(func() { assert.ErrorIs(t, kept.Refresh(t.Context()), irsa.ErrClosed) })
		synctest.Wait()
		require.NoError(t, p.Close())
		require.NoError(t, p.Close())
		caller.Wait()
		_, err = kept.Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrClosed)
		for _, tenant := range tenants { // in the Pool or not
			_, err = p.Provider(tenant)
			require.ErrorIs(t, err, irsa.ErrClosed)
		}
		k.STS.Recover()
		calls := k.STS.CallCount()
		retrieve(t, evicted)
		time.Sleep(2 * time.Hour)
		_, err = evicted.Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrClosed)
		assert.Equal(t, calls, k.STS.CallCount())
	})
}

func TestPoolObserveReceivesEventsOfAllRoles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, pod, tenants := newTenants(t, 200)
		var seen recorder
		p := newPool(t, pod, func(o *irsa.PoolOptions) { seen.options(&o.Options) })
		var callers sync.WaitGroup
		for _, tenant := range tenants {
			callers.Go(func() { retrieve(t, pooled(t, p, tenant)) })
		}
		callers.Wait()
		synctest.Wait()
		assert.Equal(t, 200, seen.count(irsa.EventRefreshed))
	})
}

func TestPoolLookupDoesNotAllocate(t *testing.T) {
	_, pod, tenants := newTenants(t, 100)
	p := newPool(t, pod)
	pooled(t, p, tenants[0])
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = p.Provider(tenants[0]) }))
	retrieve(t, pooled(t, p, tenants[0]))
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = pooled(t, p, tenants[0]).Retrieve(t.Context()) }))
}

func TestPoolRolesDoNotHaveGoroutines(t *testing.T) {
	_, pod, tenants := newTenants(t, 300)
	p := newPool(t, pod)
	goroutines := func(n int) int {
		for _, tenant := range tenants[:n] {
			retrieve(t, pooled(t, p, tenant))
		}
		time.Sleep(50 * time.Millisecond)
		return runtime.NumGoroutine()
	}
	assert.InDelta(t, goroutines(3), goroutines(300), 5)
}

// A mock formats its arguments, for example, while other goroutines use them.
func TestPoolCanBePrintedWhileInUse(t *testing.T) {
	_, pod := newPod(t)
	p := newPool(t, pod)
	var added sync.WaitGroup
	added.Go(func() {
		for i := range 500 {
			_, err := p.Provider(irsa.RoleOptions{SessionName: fmt.Sprint("session-", i)})
			assert.NoError(t, err)
		}
	})
	for range 500 {
		require.Regexp(t, `^irsa\.Pool\(\d+ roles\)$`, fmt.Sprintf("%+v", p))
	}
	added.Wait()
	for _, verb := range []string{"%v", "%#v", "%s", "%d"} {
		assert.Equal(t, "irsa.Pool(500 roles)", fmt.Sprintf(verb, p))
	}
}
