package irsa_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/tokenfile"
)

// TestPoolSlowTenantDoesNotDelayOthers has a tenant with 100 roles and a token source that does not
// return in time. A tenant that starts later must wait only for STS.
func TestPoolSlowTenantDoesNotDelayOthers(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]func(context.Context) (tokenfile.Token, error){
		"hangs":               func(ctx context.Context) (tokenfile.Token, error) { <-ctx.Done(); return tokenfile.Token{}, ctx.Err() },
		"ignores its context": func(context.Context) (tokenfile.Token, error) { time.Sleep(time.Minute); return tokenfile.Token{}, nil },
	} {
		for _, calls := range []int{4, 32} {
			t.Run(fmt.Sprintf("%s, %d calls", name, calls), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k, pod, roles := newTenants(t, 101)
					k.STS.SetLatency(100 * time.Millisecond)
					p, err := irsa.NewPool(func(o *irsa.PoolOptions) { pod.Options(&o.Options); o.MaxCalls = calls })
					require.NoError(t, err)
					defer func() { assert.NoError(t, p.Close()) }()
					ctx, stop := context.WithCancel(t.Context())
					var callers sync.WaitGroup
					defer callers.Wait()
					defer stop()
					for _, role := range roles[1:] {
						role.Token = irsa.TokenFunc("slow", source)
						provider := pooled(t, p, role)
						callers.Go(func() { _, _ = provider.Retrieve(ctx) })
					}
					synctest.Wait()

					victim := pooled(t, p, roles[0])
					for range 60 {
						start := time.Now()
						retrieve(t, victim)
						assert.LessOrEqual(t, time.Since(start), 200*time.Millisecond)
						time.Sleep(time.Minute)
					}
				})
			})
		}
	}
}

// A tenant requests made-up roles, and its callers do not wait for long.
func TestPoolEvictedRolesAreCollectedWhileExchangesHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod, roles := newTenants(t, 1)
		p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles, o.MaxCalls = 5, 1 })
		hung := irsa.TokenFunc("hung", func(ctx context.Context) (tokenfile.Token, error) { <-ctx.Done(); return tokenfile.Token{}, ctx.Err() })
		seen := map[weak.Pointer[irsa.Provider]]bool{}
		for i := range 100 {
			provider := pooled(t, p, irsa.RoleOptions{RoleARN: roles[0].RoleARN, Token: hung, SessionName: fmt.Sprint("made-up-", i)})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			require.Error(t, provider.Ready(ctx))
			cancel()
			seen[weak.Make(provider)] = true
		}
		synctest.Wait()
		live := 0
		for range 3 {
			runtime.GC()
		}
		for provider := range seen {
			if provider.Value() != nil {
				live++
			}
		}
		assert.LessOrEqual(t, live, 6, "those in the Pool, and the one whose exchange runs")
		time.Sleep(time.Minute) // until that exchange has ended
	})
}

// A rotation is an event of each role. The observer is slower than the watch of the token file.
func TestPoolObserveReceivesRotationOfAllRoles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const roles = 1100 // more than the queue holds otherwise
		_, pod, tenants := newTenants(t, roles)
		blocked := make(chan struct{})
		var rotated, refreshed atomic.Int32
		p := newPool(t, pod, func(o *irsa.PoolOptions) {
			o.Observe = func(e irsa.Event) {
				if e.Kind != irsa.EventTokenRotated {
					refreshed.Add(1)
					return
				}
				<-blocked
				rotated.Add(1)
			}
		})
		for _, tenant := range tenants {
			retrieve(t, pooled(t, p, tenant))
		}
		synctest.Wait()
		pod.Rotate()
		time.Sleep(2 * time.Minute)
		close(blocked)
		synctest.Wait()
		assert.EqualValues(t, roles, refreshed.Load())
		assert.EqualValues(t, roles, rotated.Load())
	})
}

// The first role of the chain belongs to another tenant.
func TestPoolAssumeRoleCountsAgainstTenantOfProvider(t *testing.T) {
	_, pod, chains := tenantChains(t, 2)
	p := newPool(t, pod)
	pooled(t, p, irsa.RoleOptions{Tenant: "tenant-0"})
	chain := chains[1]
	chain.Chain = chain.Chain[:1]
	_, err := pooled(t, p, chain).AssumeRole(chains[1].Chain[1].RoleARN)
	require.NoError(t, err)
	assert.Equal(t, map[string]irsa.TenantStatus{"tenant-0": {Roles: 1}, "tenant-1": {Roles: 2}}, p.Status().Tenants)
}
