package irsa_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
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
				time.Sleep(5 * time.Minute) // each of them has failed by now
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

func TestPoolCloseClosesItsRoles(t *testing.T) {
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

// Two sets of options share a Provider if, and only if, they are equal.
func TestPoolRegionInUpperCaseIsTheSameRole(t *testing.T) {
	_, pod, tenants := newTenants(t, 2)
	p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles = 1 })
	region := func(name string) irsa.RoleOptions {
		opts := tenants[0]
		opts.Region = name
		return opts
	}
	lower := pooled(t, p, region("eu-west-1"))
	assert.Same(t, lower, pooled(t, p, region("EU-WEST-1")))
	pooled(t, p, tenants[1])
	assert.Equal(t, 1, p.Status().Roles, "the other one was evicted")
	assert.NotSame(t, lower, pooled(t, p, region("EU-WEST-1")))
	assert.Equal(t, 1, p.Status().Roles)
}

func TestPoolSharesProvidersOnlyForEqualOptions(t *testing.T) {
	t.Parallel()
	_, pod, _ := newTenants(t, 0)
	p := newPool(t, pod, func(o *irsa.PoolOptions) { o.RoleARN, o.PolicyARNs = "", nil })
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(all ...string) string { return all[random.IntN(len(all))] }
	source := func(identity string) irsa.TokenSource {
		if identity == "" {
			return nil
		}
		return irsa.TokenFunc(identity, func(context.Context) (tokenfile.Token, error) { return tokenfile.Token{}, nil })
	}
	arns := []string{"arn:aws:iam::111122223333:policy/a", "arn:aws:iam::111122223333:policy/b", "arn:aws:iam::111122223333:policy/a\n1:b"}
	type options struct {
		role, identity, session, region, policy, policies string
		duration                                          time.Duration
	}
	seen := map[*irsa.Provider]options{}
	providers := map[options]*irsa.Provider{}
	for range 20_000 {
		a := options{
			role:     pick("arn:aws:iam::111122223333:role/a", "arn:aws:iam::111122223333:role/b", "arn:aws:iam::444455556666:role/a"),
			identity: pick("", "shop/cart", "shop/search", pod.TokenFile(), "file "+pod.TokenFile()),
			session:  pick("", "one", "two"),
			region:   pick("us-west-2", "eu-central-1"),
			policy:   pick("", "{}", "{ }"),
			duration: []time.Duration{0, time.Hour, 2 * time.Hour}[random.IntN(3)],
		}
		var list []string
		for range random.IntN(3) {
			list = append(list, pick(arns...))
		}
		a.policies = fmt.Sprintf("%q", slices.Sorted(slices.Values(list)))
		region := a.region
		if region == "us-west-2" && random.IntN(2) == 0 {
			region = "" // the pool's own
		}
		provider, err := p.Provider(irsa.RoleOptions{
			RoleARN: a.role, Token: source(a.identity), SessionName: a.session, Region: region, Policy: a.policy, PolicyARNs: list, Duration: a.duration,
		})
		require.NoError(t, err)
		before, known := seen[provider]
		require.True(t, !known || before == a, "%v and %v share one", before, a)
		require.True(t, providers[a] == nil || providers[a] == provider, "%v has two", a)
		seen[provider], providers[a] = a, provider
	}
	require.Greater(t, len(seen), 1000)
}

// restlessTokens is a TokenSource whose identity changes, which is not allowed. The worst effect is
// the eviction of its role.
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

func TestPoolRoleWithOwnRegionAndTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod, _ := newTenants(t, 0)
		search := k.ServiceAccount("shop", "search")
		role := k.Role("reader", irsatest.Trust(search))
		calls := 0
		tokens := irsa.TokenFunc("shop/search", func(context.Context) (tokenfile.Token, error) {
			calls++
			return tokenfile.Parse(search.Token())
		})
		p := newPool(t, pod)
		provider := pooled(t, p, irsa.RoleOptions{RoleARN: role.ARN(), Token: tokens, Region: "eu-central-1", Duration: 30 * time.Minute})
		retrieve(t, provider)
		assert.Equal(t, "system:serviceaccount:shop:search", k.STS.Calls()[0].Subject)
		assert.Equal(t, 30*time.Minute, k.STS.Calls()[0].Duration)
		assert.Equal(t, "eu-central-1", provider.AWSConfig().Region)
		assert.Equal(t, 1, calls)
		require.NoError(t, provider.Refresh(t.Context()))
		assert.Equal(t, 2, calls, "for every exchange")
	})
}

// The Pool's token file does not affect a role with another token source.
func TestPoolTokenFileDoesNotAffectRolesWithOtherTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod, tenants := newTenants(t, 1)
		search := k.ServiceAccount("shop", "search")
		role := k.Role("reader", irsatest.Trust(search))
		var tokenErr error
		tokens := irsa.TokenFunc("shop/search", func(context.Context) (tokenfile.Token, error) {
			token, err := tokenfile.Parse(search.Token())
			return token, errors.Join(err, tokenErr)
		})
		var seen recorder
		p := newPool(t, pod, func(o *irsa.PoolOptions) { seen.options(&o.Options) })
		other := pooled(t, p, irsa.RoleOptions{RoleARN: role.ARN(), Token: tokens})
		role.Fail(irsatest.AccessDenied, -1)
		requireOtherTokens := func(err, kind error) {
			t.Helper()
			require.ErrorIs(t, err, kind)
			var failure *irsa.Error
			require.ErrorAs(t, err, &failure)
			assert.Empty(t, failure.TokenFile)
			assert.NotContains(t, err.Error(), pod.TokenFile())
			assert.NotContains(t, err.Error(), "AWS_WEB_IDENTITY_TOKEN_FILE")
		}
		tokenErr = errors.New("no answer")
		requireOtherTokens(other.Refresh(t.Context()), irsa.ErrTokenFile)
		tokenErr = nil
		requireOtherTokens(other.Refresh(t.Context()), irsa.ErrAccessDenied)

		pod.Rotate(irsatest.Invalid("expired"))
		own := pooled(t, p, tenants[0])
		_, err := own.Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrTokenExpired)
		time.Sleep(time.Minute) // no caller, so no attempt
		k.STS.ForgetCalls()
		expiry := other.Status().TokenExpiry
		pod.Rotate()
		time.Sleep(10 * time.Second)
		retrieve(t, own)
		for _, call := range k.STS.Calls() {
			assert.Equal(t, tenants[0].RoleARN, call.RoleARN, "the rotation wakes the roles of the file only")
		}
		assert.Equal(t, expiry, other.Status().TokenExpiry)
		assert.Equal(t, 1, seen.count(irsa.EventTokenRotated))
		assert.Equal(t, 1, strings.Count(seen.log(), "web identity token rotated"))
	})
}

func TestPoolRejectsInvalidRoleOptions(t *testing.T) {
	_, pod, _ := newTenants(t, 0)
	p := newPool(t, pod)
	for want, opts := range map[string]irsa.RoleOptions{
		"is not the ARN of an IAM role": {RoleARN: "s3-writer"},
		"is not between":                {Duration: time.Minute},
		"is not the name of a region":   {Region: "us_west_2"},
		"the session name":              {SessionName: "a b"},
		"has no identity":               {Token: irsa.TokenFunc("", func(context.Context) (tokenfile.Token, error) { return tokenfile.Token{}, assert.AnError })},
		"has no function":               {Token: irsa.TokenFunc("test", nil)},
		"is not the ARN of a managed":   {PolicyARNs: []string{"a"}},
	} {
		_, err := p.Provider(opts)
		require.ErrorIs(t, err, irsa.ErrNotConfigured)
		assert.ErrorContains(t, err, want)
	}
	_, err := irsa.NewPool(func(o *irsa.PoolOptions) { o.TokenFile = "relative" })
	require.ErrorIs(t, err, irsa.ErrNotConfigured)
	empty, err := irsa.NewPool(func(o *irsa.PoolOptions) { o.Region = "us-west-2" })
	require.NoError(t, err)
	defer empty.Close()
	_, err = empty.Provider(irsa.RoleOptions{RoleARN: "arn:aws:iam::111122223333:role/a"})
	require.ErrorContains(t, err, "AWS_WEB_IDENTITY_TOKEN_FILE is not set")
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

func TestPoolRolesHaveNoGoroutines(t *testing.T) {
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
