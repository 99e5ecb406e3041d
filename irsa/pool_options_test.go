package irsa_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

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

// Two sets of options share a Provider if and only if they are equal.
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

// The Pool's token file must not affect a role with another token source.
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
