package irsa_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/tokenfile"
)

func TestPoolEvictsLeastRecentlyUsedRoleAndKeepsServingIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, pod, tenants := newTenants(t, 4)
		p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles = 3 })
		var all []*irsa.Provider
		for _, tenant := range tenants[:3] {
			all = append(all, pooled(t, p, tenant))
			retrieve(t, all[len(all)-1])
		}
		pooled(t, p, tenants[0]) // now the most recently used
		retrieve(t, pooled(t, p, tenants[3]))
		assert.Same(t, all[0], pooled(t, p, tenants[0]))
		assert.Equal(t, 3, p.Status().Roles)
		assert.NotSame(t, all[1], pooled(t, p, tenants[1]), "it was evicted")
		for range 24 * 60 { // the evicted Provider serves and refreshes
			start := time.Now()
			retrieve(t, all[1])
			assert.Zero(t, time.Since(start))
			time.Sleep(time.Minute)
		}
	})
}

func TestPoolEvictedUnreachableRoleIsCollected(t *testing.T) {
	_, pod, tenants := newTenants(t, 2)
	p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles = 1 })
	gone := func() weak.Pointer[irsa.Provider] {
		provider := pooled(t, p, tenants[0])
		retrieve(t, provider)
		return weak.Make(provider)
	}()
	retrieve(t, pooled(t, p, tenants[1]))
	assert.Eventually(t, func() bool { runtime.GC(); return gone.Value() == nil }, time.Minute, 10*time.Millisecond)
}

func TestPoolProvidersAreOrderedByUse(t *testing.T) {
	_, pod, tenants := newTenants(t, 20)
	p := newPool(t, pod)
	var want []string
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(20) {
		pooled(t, p, tenants[i])
	}
	for i := range 20 {
		pooled(t, p, tenants[i])
		want = slices.Insert(want, 0, tenants[i].RoleARN)
	}
	var got []string
	for provider := range p.Providers() {
		got = append(got, provider.Status().RoleARN)
	}
	assert.Equal(t, want, got)
}

// A tenant that requests made-up roles must not affect the existing or new roles of another tenant.
func TestPoolMadeUpRolesDoNotEvictOtherTenants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const maxRoles = 1000
		k, pod, tenants := newTenants(t, 2)
		p := newPool(t, pod)
		victim := tenants[0]
		victim.Tenant = "victim"
		served := pooled(t, p, victim)
		retrieve(t, served)
		waiting := tenants[1]
		waiting.Tenant = "victim"
		kept := pooled(t, p, waiting)
		hostile := irsa.RoleOptions{RoleARN: tenants[0].RoleARN, Tenant: "hostile"}
		for i := range maxRoles*20 + 1 {
			hostile.Policy = fmt.Sprintf(`{"made up": %d}`, i)
			pooled(t, p, hostile)
		}
		k.STS.Down()
		assert.Same(t, served, pooled(t, p, victim))
		assert.Same(t, kept, pooled(t, p, waiting))
		retrieve(t, pooled(t, p, victim))
		assert.Equal(t, irsa.TenantStatus{Roles: 2}, p.Status().Tenants["victim"])
	})
}

// When roles of a tenant obtain credentials, they evict roles of the tenant with the most roles.
func TestPoolIsFairBetweenTenants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, pod, roles := newTenants(t, 30)
		p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles = 10 })
		ask := func(tenant string, i int) {
			opts := roles[i]
			opts.Tenant = tenant
			retrieve(t, pooled(t, p, opts))
		}
		for i := range 20 {
			ask("large", i)
		}
		count := func() map[string]int {
			out := map[string]int{}
			for tenant, status := range p.Status().Tenants {
				out[tenant] = status.Roles
			}
			return out
		}
		assert.Equal(t, map[string]int{"large": 10}, count())
		for i := 20; i < 23; i++ {
			ask("small", i)
		}
		assert.Equal(t, map[string]int{"large": 7, "small": 3}, count())
		for i := range 20 {
			ask("large", i)
		}
		assert.Equal(t, map[string]int{"large": 7, "small": 3}, count())
		for i := 23; i < 30; i++ {
			ask("small", i)
		}
		assert.Equal(t, map[string]int{"large": 5, "small": 5}, count())
	})
}

// The roles of tenants that are gone make room for other tenants. A role that is only refreshed does
// not.
func TestPoolFullOfUnusedRolesMakesRoom(t *testing.T) {
	for name, chain := range map[string][]irsa.ChainedRole{"roles": nil, "chains": {{RoleARN: "arn:aws:iam::111122223333:role/made-up"}}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, pod, roles := newTenants(t, 8)
				p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles = 4 })
				for i := range roles {
					roles[i].Tenant = fmt.Sprint("tenant ", i)
				}
				held := pooled(t, p, roles[0])
				retrieve(t, held)
				for _, role := range roles[1:4] {
					retrieve(t, pooled(t, p, role))
					role.Chain = chain
					pooled(t, p, role)
				}
				_, err := p.Provider(roles[4])
				require.ErrorIs(t, err, irsa.ErrPoolFull)
				for range 12 * 60 { // used without being looked up
					retrieve(t, held)
					time.Sleep(time.Minute)
				}
				for _, role := range roles[4:7] {
					retrieve(t, pooled(t, p, role))
				}
				assert.Same(t, held, pooled(t, p, roles[0]))
				_, err = p.Provider(roles[7])
				require.ErrorIs(t, err, irsa.ErrPoolFull)
			})
		})
	}
}

func TestPoolFullReturnsErrPoolFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod, roles := newTenants(t, 4)
		p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles = 3 })
		for i := range roles {
			roles[i].Tenant = fmt.Sprint("tenant ", i)
		}
		for _, role := range roles[:3] {
			retrieve(t, pooled(t, p, role))
		}
		_, err := p.Provider(roles[3])
		require.ErrorIs(t, err, irsa.ErrPoolFull)
		assert.NotErrorIs(t, err, irsa.ErrNotConfigured)
		assert.ErrorContains(t, err, roles[3].RoleARN)
		assert.ErrorContains(t, err, "raise PoolOptions.MaxRoles; see https://github.com/irsakit/irsakit/blob/main/TROUBLESHOOTING.md#pool-full")
		for _, role := range roles[:3] {
			retrieve(t, pooled(t, p, role))
			pooled(t, p, irsa.RoleOptions{RoleARN: roles[3].RoleARN, Tenant: role.Tenant})
		}
		_, err = p.Provider(irsa.RoleOptions{Tenant: strings.Repeat("t", 4097)})
		require.ErrorIs(t, err, irsa.ErrNotConfigured)
		assert.Less(t, len(err.Error()), 1000)
	})
}

// Role chains that never had credentials do not protect their source, and are evicted with it.
func TestPoolMadeUpChainsDoNotProtectRoles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const maxRoles = 10
		_, pod, roles := newTenants(t, 2*maxRoles)
		p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles = maxRoles })
		for i, role := range roles[:maxRoles] {
			role.Tenant = "hostile"
			retrieve(t, pooled(t, p, role))
			role.Chain = []irsa.ChainedRole{{RoleARN: fmt.Sprint("arn:aws:iam::111122223333:role/made-up-", i)}}
			pooled(t, p, role)
		}
		for _, role := range roles[maxRoles:] {
			role.Tenant = "victim"
			retrieve(t, pooled(t, p, role))
		}
		assert.Equal(t, maxRoles/2, p.Status().Tenants["victim"].Roles)
		assert.Equal(t, maxRoles, p.Status().Tenants["hostile"].Roles, "one chain for each role")
	})
}

func TestPoolEqualRolesOfTwoTenantsShareProvider(t *testing.T) {
	_, pod, roles := newTenants(t, 1)
	p := newPool(t, pod)
	first, second := roles[0], roles[0]
	first.Tenant, second.Tenant = "first", "second"
	assert.Same(t, pooled(t, p, first), pooled(t, p, second))
	assert.Equal(t, []string{"first"}, slices.Collect(maps.Keys(p.Status().Tenants)))
}

// Providers that are no longer in the Pool are garbage collected, regardless of whether honest or
// hostile tenants looked them up.
func TestPoolBoundsProvidersInMemory(t *testing.T) {
	const maxRoles, tenants = 100, 20
	lookups := testsize.Choose(20_000, 100_000, 100_000)
	_, pod, roles := newTenants(t, 1)
	p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles = maxRoles })
	random := rand.New(rand.NewPCG(3, 4))
	seen := map[weak.Pointer[irsa.Provider]]bool{}
	start := time.Now()
	for i := range lookups {
		tenant := random.IntN(tenants)
		opts := irsa.RoleOptions{RoleARN: roles[0].RoleARN, Tenant: fmt.Sprint(tenant), SessionName: fmt.Sprintf("%d-%d", tenant, random.IntN(4))}
		if tenant < tenants/2 { // hostile
			opts.SessionName = fmt.Sprintf("%d-%d", tenant, i)
		}
		if tenant >= tenants/4 && random.IntN(4) == 0 {
			opts.Chain = []irsa.ChainedRole{{RoleARN: roles[0].RoleARN, ExternalID: opts.SessionName}}
		}
		provider := pooled(t, p, opts)
		if len(opts.Chain) == 0 && random.IntN(200) == 0 {
			retrieve(t, provider)
		}
		seen[weak.Make(provider)] = true
	}
	t.Logf("%d lookups took %v", lookups, time.Since(start))
	live := func() (n int) {
		runtime.GC()
		for provider := range seen {
			if provider.Value() != nil {
				n++
			}
		}
		return n
	}
	assert.Eventually(t, func() bool { return live() <= 2*maxRoles }, time.Minute, 50*time.Millisecond)
	assert.LessOrEqual(t, p.Status().Roles, 2*maxRoles)
	for i := tenants / 2; i < tenants; i++ {
		assert.GreaterOrEqual(t, p.Status().Tenants[fmt.Sprint(i)].Roles, 4, "an honest tenant keeps its roles")
	}
	runtime.KeepAlive(p)
}

// restlessTokens is a TokenSource whose identity changes, which is not allowed. At worst, its role is
// evicted.
type restlessTokens struct{ calls *int }

func (r restlessTokens) Token(context.Context) (tokenfile.Token, error) {
	return tokenfile.Token{}, nil
}
func (r restlessTokens) Identity() string { *r.calls++; return fmt.Sprint(*r.calls) }

func TestPoolEvictsRoleWithChangedIdentity(t *testing.T) {
	_, pod, tenants := newTenants(t, 2)
	p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles = 1 })
	for range 3 {
		pooled(t, p, irsa.RoleOptions{RoleARN: tenants[0].RoleARN, Token: restlessTokens{new(int)}, Tenant: "shop"})
		pooled(t, p, irsa.RoleOptions{RoleARN: tenants[1].RoleARN, Tenant: "shop"})
		assert.Equal(t, 1, p.Status().Roles)
	}
}
