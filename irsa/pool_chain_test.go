package irsa_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// tenantChains returns chains of three roles for n tenants. All chains begin with the pod's role.
func tenantChains(t *testing.T, n int) (*irsatest.Cluster, *irsatest.Pod, []irsa.RoleOptions) {
	t.Helper()
	k := newCluster(t)
	sa := k.ServiceAccount("platform", "controller")
	base := k.Role("base", irsatest.Trust(sa))
	var out []irsa.RoleOptions
	for i := range n {
		near := k.Role(fmt.Sprintf("near-%d", i), irsatest.InAccount("444455556666"), irsatest.Trust(base))
		far := k.Role(fmt.Sprintf("far-%d", i), irsatest.InAccount("777788889999"), irsatest.Trust(near))
		out = append(out, irsa.RoleOptions{
			Tenant: fmt.Sprint("tenant-", i),
			Chain:  []irsa.ChainedRole{{RoleARN: near.ARN()}, {RoleARN: far.ARN()}},
		})
	}
	return k, k.Pod(sa, base, autoRotated), out
}

// A controller requests a chain of three roles in each reconciliation. STS is called once for each
// distinct link, and once for each refresh.
func TestPoolChainsCallSTSOncePerLink(t *testing.T) {
	t.Parallel()
	byAssumeRole := func(t *testing.T, p *irsa.Pool, opts irsa.RoleOptions) *irsa.Provider {
		provider := pooled(t, p, irsa.RoleOptions{Tenant: opts.Tenant})
		for _, role := range opts.Chain {
			next, err := provider.AssumeRole(role.RoleARN)
			require.NoError(t, err)
			provider = next
		}
		return provider
	}
	for name, get := range map[string]func(*testing.T, *irsa.Pool, irsa.RoleOptions) *irsa.Provider{"RoleOptions.Chain": pooled, "AssumeRole": byAssumeRole} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const tenants, reconciliations = 50, 500
				k, pod, chains := tenantChains(t, tenants)
				k.STS.SetLatency(50 * time.Millisecond)
				p := newPool(t, pod)
				for i := range reconciliations {
					retrieve(t, get(t, p, chains[i%tenants]))
					if i == reconciliations/2 { // before the first refresh
						assert.Equal(t, 1+2*tenants, k.STS.CallCount())
						assert.Equal(t, 1+2*tenants, p.Status().Roles)
						assert.Equal(t, 1+2*tenants, distinctRoles(k))
					}
					time.Sleep(time.Hour / reconciliations)
				}
				calls := map[string]int{}
				for _, call := range k.STS.Calls() {
					calls[call.RoleARN]++
				}
				assert.Len(t, calls, 1+2*tenants)
				for role, n := range calls {
					assert.LessOrEqual(t, n, 2, "%s is refreshed once in an hour", role)
				}
			})
		})
	}
}

func distinctRoles(k *irsatest.Cluster) int {
	roles := map[string]bool{}
	for _, call := range k.STS.Calls() {
		roles[call.RoleARN] = true
	}
	return len(roles)
}

// gauge counts the requests in flight.
type gauge struct {
	http.RoundTripper
	now, most atomic.Int64
}

func (g *gauge) RoundTrip(r *http.Request) (*http.Response, error) {
	now := g.now.Add(1)
	defer g.now.Add(-1)
	for most := g.most.Load(); now > most && !g.most.CompareAndSwap(most, now); most = g.most.Load() {
	}
	return g.RoundTripper.RoundTrip(r)
}

func TestPoolChainsOfManyTenantsRunWithinMaxCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tenants := testsize.Choose(100, 1000, 1000)
		k, pod, chains := tenantChains(t, tenants)
		k.STS.SetLatency(50 * time.Millisecond)
		requests := &gauge{RoundTripper: k.HTTPClient().Transport}
		p := newPool(t, pod, func(o *irsa.PoolOptions) {
			o.MaxCalls, o.HTTPClient = 20, &http.Client{Transport: requests}
		})
		var callers sync.WaitGroup
		for _, chain := range chains {
			callers.Go(func() { retrieve(t, pooled(t, p, chain)) })
		}
		callers.Wait()
		assert.Equal(t, 1+2*tenants, k.STS.CallCount())
		assert.LessOrEqual(t, requests.most.Load(), int64(20))
		assert.Greater(t, requests.most.Load(), int64(10), "they run concurrently")
		status := p.Status()
		assert.Equal(t, 1+2*tenants, status.Roles)
		assert.Len(t, status.Tenants, tenants)
	})
}

// Every option of a ChainedRole is sent to STS.
func TestPoolChainSendsAllOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCluster(t)
		sa := k.ServiceAccount("platform", "controller")
		base := k.Role("base", irsatest.Trust(sa))
		target := k.Role("target", irsatest.InAccount("444455556666"), irsatest.TrustPolicy(fmt.Sprintf(
			`{"Statement": {"Effect": "Allow", "Principal": {"AWS": %q}, "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
			"Condition": {"StringEquals": {"sts:ExternalId": "id", "aws:RequestTag/team": "blue", "aws:RequestTag/stage": "", "sts:SourceIdentity": "alice"},
			"ForAllValues:StringEquals": {"sts:TransitiveTagKeys": ["team"]}}}}`, base.ARN())))
		form := &lastForm{RoundTripper: k.HTTPClient().Transport}
		p := newPool(t, k.Pod(sa, base), func(o *irsa.PoolOptions) { o.HTTPClient = &http.Client{Transport: form} })
		role := irsa.ChainedRole{
			RoleARN: target.ARN(), ExternalID: "id", SessionName: "nightly", Tags: map[string]string{"team": "blue", "stage": ""},
			TransitiveTagKeys: []string{"team"}, SourceIdentity: "alice", Policy: `{"Version": "2012-10-17"}`,
			PolicyARNs: []string{"arn:aws:iam::444455556666:policy/read"}, Duration: 20 * time.Minute,
		}
		provider := pooled(t, p, irsa.RoleOptions{Chain: []irsa.ChainedRole{role}})
		role.Tags["team"], role.TransitiveTagKeys[0], role.PolicyARNs[0] = "changed", "changed", "changed" // the Pool has copies
		_ = provider.Ready(t.Context())
		require.NotEmpty(t, form.values)
		for name, want := range map[string]string{
			"ExternalId": "id", "RoleSessionName": "nightly", "Tags.member.1.Key": "stage", "Tags.member.1.Value": "", "Tags.member.2.Key": "team",
			"Tags.member.2.Value": "blue", "TransitiveTagKeys.member.1": "team", "SourceIdentity": "alice", "Policy": `{"Version": "2012-10-17"}`,
			"PolicyArns.member.1.arn": "arn:aws:iam::444455556666:policy/read", "DurationSeconds": "1200",
		} {
			assert.Equal(t, want, form.get(name), name)
		}
		_, err := provider.AssumeRole(base.ARN())
		require.NoError(t, err)
		assert.Equal(t, 3, p.Status().Roles)
		role.Tags["team"], role.TransitiveTagKeys[0], role.PolicyARNs[0] = "blue", "team", "arn:aws:iam::444455556666:policy/read"
		assert.Same(t, provider, pooled(t, p, irsa.RoleOptions{Chain: []irsa.ChainedRole{role}}))
	})
}

// lastForm records the form of the last request.
type lastForm struct {
	http.RoundTripper
	values map[string][]string
}

func (l *lastForm) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if l.values, err = url.ParseQuery(string(body)); err != nil {
		return nil, err
	}
	clone := r.Clone(r.Context())
	clone.Body = io.NopCloser(bytes.NewReader(body))
	return l.RoundTripper.RoundTrip(clone)
}

func (l *lastForm) get(name string) string { return strings.Join(l.values[name], " ") }

func TestPoolChainLinkIsNotEvictedWhileInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod, roles := threeAccounts(t)
		others := rolesOf(k, k.ServiceAccount("shop", "cart"), 20)
		p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles = 4 })
		chain := irsa.RoleOptions{RoleARN: roles[0].ARN(), Chain: []irsa.ChainedRole{{RoleARN: roles[1].ARN()}, {RoleARN: roles[2].ARN()}}}
		links := []irsa.RoleOptions{chain, chain, chain}
		links[0].Chain, links[1].Chain = nil, chain.Chain[:1]
		var want []*irsa.Provider
		for _, link := range links {
			want = append(want, pooled(t, p, link))
		}
		retrieve(t, pooled(t, p, chain))
		for _, other := range others {
			retrieve(t, pooled(t, p, other))
			retrieve(t, pooled(t, p, chain)) // only this Provider is used directly
		}
		for i, link := range links {
			assert.Same(t, want[i], pooled(t, p, link))
		}
		pooled(t, p, links[2])
		for _, other := range others {
			retrieve(t, pooled(t, p, other))
		}
		assert.Equal(t, 4, p.Status().Roles, "the chain was evicted from its end")
		for _, link := range slices.Backward(links) {
			for provider := range p.Providers() {
				assert.NotSame(t, want[slices.IndexFunc(links, func(l irsa.RoleOptions) bool { return len(l.Chain) == len(link.Chain) })], provider)
			}
		}
		retrieve(t, want[2])
	})
}

func TestPoolCloseDoesNotCloseEvictedLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod, chains := tenantChains(t, 3)
		p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles = 2 })
		var all []*irsa.Provider
		for _, chain := range chains {
			chain.Chain, chain.Tenant = chain.Chain[:1], ""
			all = append(all, pooled(t, p, chain))
			retrieve(t, all[len(all)-1])
		}
		require.NoError(t, p.Close())
		retrieve(t, all[0]) // from its cache
		_, err := all[2].Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrClosed)
	})
}

func TestPoolChainOfEvictedProviderIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod, roles := threeAccounts(t)
		p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles = 3 })
		first := pooled(t, p, irsa.RoleOptions{RoleARN: roles[0].ARN()})
		retrieve(t, first)
		for _, other := range rolesOf(k, k.ServiceAccount("shop", "cart"), 3) {
			retrieve(t, pooled(t, p, other))
		}
		second, err := first.AssumeRole(roles[1].ARN())
		require.NoError(t, err)
		again, err := first.AssumeRole(roles[1].ARN())
		require.NoError(t, err)
		assert.Same(t, second, again)
		assert.Same(t, second, pooled(t, p, irsa.RoleOptions{RoleARN: roles[0].ARN(), Chain: []irsa.ChainedRole{{RoleARN: roles[1].ARN()}}}))
		retrieve(t, second)
		require.NoError(t, second.Close(), "a no-op in a Pool")
		retrieve(t, second)
	})
}

func TestPoolChainLookupDoesNotAllocate(t *testing.T) {
	_, pod, chains := tenantChains(t, 1)
	p := newPool(t, pod)
	pooled(t, p, chains[0])
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = p.Provider(chains[0]) }))
}

// The memory and time needed for a derived Provider must not depend on how many exist.
func TestAssumeRoleCostIsConstant(t *testing.T) {
	_, pod, roles := threeAccounts(t)
	for name, p := range map[string]*irsa.Provider{
		"New":  newProvider(t, pod.Options),
		"Pool": pooled(t, newPool(t, pod), irsa.RoleOptions{}),
	} {
		measure := func(n int) uint64 {
			var kept []*irsa.Provider
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			for range n {
				derived, err := p.AssumeRole(roles[1].ARN())
				require.NoError(t, err)
				kept = append(kept, derived)
			}
			t.Logf("%s: %v for each of %d", name, time.Since(start)/time.Duration(n), n)
			runtime.ReadMemStats(&after)
			return (after.TotalAlloc - before.TotalAlloc) / uint64(len(kept))
		}
		few, many := measure(1000), measure(10_000)
		assert.Less(t, many, 2*few, name)
	}
}
