package irsa_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/tokenfile"
)

// stuckTokens are token sources that ignore their context until release is closed.
func stuckTokens(release <-chan struct{}, identity string) irsa.TokenSource {
	return irsa.TokenFunc(identity, func(context.Context) (tokenfile.Token, error) {
		<-release
		return tokenfile.Token{}, assert.AnError
	})
}

// requireShortClose checks that closing takes one AttemptTimeout, the default.
func requireShortClose(t *testing.T, end func() error) {
	t.Helper()
	start := time.Now()
	err := end()
	assert.Equal(t, 10*time.Second, time.Since(start), "one limit for all")
	require.Error(t, err)
	assert.Less(t, len(err.Error()), 300, err.Error())
}

func TestPoolCloseSharesOneTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod, tenants := newTenants(t, 40)
		release := make(chan struct{})
		p, err := irsa.NewPool(func(o *irsa.PoolOptions) {
			pod.Options(&o.Options)
			o.Observe = func(irsa.Event) { <-release } // blocks too
		})
		require.NoError(t, err)
		healthy := pooled(t, p, tenants[39])
		retrieve(t, healthy)
		var stuck []*irsa.Provider
		for i, tenant := range tenants[:39] {
			tenant.Token = stuckTokens(release, fmt.Sprint(i))
			provider := pooled(t, p, tenant)
			stuck = append(stuck, provider)
			go func() { _, _ = provider.Retrieve(t.Context()) }()
		}
		synctest.Wait()
		require.Equal(t, 32, p.Status().Calls.Running)
		requireShortClose(t, p.Close)
		for _, provider := range append(stuck, healthy) {
			_, err := provider.Retrieve(t.Context())
			require.ErrorIs(t, err, irsa.ErrClosed)
		}
		close(release)
		synctest.Wait()
		start := time.Now()
		require.NoError(t, p.Close(), "they have returned")
		assert.Zero(t, time.Since(start))
	})
}

// stuckAssumeRole is a client that ignores its context until release is closed.
type stuckAssumeRole struct{ release <-chan struct{} }

func (s *stuckAssumeRole) options(o *stscreds.AssumeRoleOptions) { o.Client = s }

func (s *stuckAssumeRole) AssumeRole(context.Context, *sts.AssumeRoleInput, ...func(*sts.Options)) (*sts.AssumeRoleOutput, error) {
	<-s.release
	return nil, assert.AnError
}

func TestProviderCloseSharesOneTimeoutWithDerivedProviders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod, roles := threeAccounts(t)
		release := make(chan struct{})
		client := &stuckAssumeRole{release: release}
		p, err := irsa.New(pod.Options, func(o *irsa.Options) {
			o.Observe = func(irsa.Event) { <-release } // blocks too
		})
		require.NoError(t, err)
		retrieve(t, p)
		for range 5 {
			derived, err := p.AssumeRole(roles[1].ARN(), client.options)
			require.NoError(t, err)
			next, err := derived.AssumeRole(roles[2].ARN(), client.options)
			require.NoError(t, err)
			for _, provider := range []*irsa.Provider{derived, next} {
				go func() { _, _ = provider.Retrieve(t.Context()) }()
			}
		}
		synctest.Wait()
		requireShortClose(t, p.Close)
		close(release)
		synctest.Wait()
		require.NoError(t, p.Close())
	})
}

// Close must not report a timeout if there is nothing left to wait for.
func TestPoolCloseReportsOnlyTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod, tenants := newTenants(t, 1)
		for range 20 {
			release := make(chan struct{})
			p, err := irsa.NewPool(func(o *irsa.PoolOptions) { pod.Options(&o.Options) })
			require.NoError(t, err)
			role := tenants[0]
			role.Token = stuckTokens(release, "stuck")
			provider := pooled(t, p, role)
			go func() { _, _ = provider.Retrieve(t.Context()) }()
			synctest.Wait()
			err = p.Close()
			require.ErrorContains(t, err, "the source has not returned")
			assert.NotContains(t, err.Error(), "Observe")
			close(release)
			synctest.Wait()
		}
	})
}
