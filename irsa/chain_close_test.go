package irsa_test

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
)

func TestAssumeRoleOnClosedProviderReturnsErrClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod, roles := threeAccounts(t)
		solo := newProvider(t, pod.Options)
		derived, err := solo.AssumeRole(roles[1].ARN())
		require.NoError(t, err)
		closedDerived, err := solo.AssumeRole(roles[1].ARN())
		require.NoError(t, err)
		require.NoError(t, closedDerived.Close())
		_, err = derived.AssumeRole(roles[2].ARN())
		require.NoError(t, err, "the source is open")
		require.NoError(t, solo.Close())

		pool := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles = 2 })
		evicted := pooled(t, pool, irsa.RoleOptions{RoleARN: roles[0].ARN()})
		known := pooled(t, pool, irsa.RoleOptions{RoleARN: roles[1].ARN()})
		require.NoError(t, known.Close(), "only the Pool closes it")
		poolDerived, err := known.AssumeRole(roles[2].ARN())
		require.NoError(t, err)
		require.NoError(t, pool.Close())

		for name, p := range map[string]*irsa.Provider{
			"New's": solo, "derived": derived, "derived and closed before": closedDerived,
			"a Pool's": known, "evicted from a Pool": evicted, "derived from a Pool's": poolDerived,
		} {
			next, err := p.AssumeRole(roles[2].ARN())
			require.ErrorIs(t, err, irsa.ErrClosed, name)
			var failure *irsa.Error
			require.ErrorAs(t, err, &failure, name)
			assert.Equal(t, irsa.ErrClosed, failure.Kind, name)
			assert.Equal(t, p.Status().RoleARN, failure.RoleARN, name)
			assert.Nil(t, next, name)
		}
	})
}

// If AssumeRole runs concurrently with Close of the source, it either fails or returns a closed
// Provider.
func TestAssumeRoleDuringCloseDoesNotLeakProvider(t *testing.T) {
	_, pod, roles := threeAccounts(t)
	for name, open := range map[string]func() (p *irsa.Provider, end func() error){
		"New's": func() (*irsa.Provider, func() error) {
			p, err := irsa.New(pod.Options)
			require.NoError(t, err)
			return p, p.Close
		},
		"a Pool's": func() (*irsa.Provider, func() error) {
			pool, err := irsa.NewPool(func(o *irsa.PoolOptions) { pod.Options(&o.Options) })
			require.NoError(t, err)
			return pooled(t, pool, irsa.RoleOptions{RoleARN: roles[0].ARN()}), pool.Close
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 100 {
				p, end := open()
				var all sync.WaitGroup
				var mu sync.Mutex
				var made []*irsa.Provider
				for range 4 {
					all.Go(func() {
						for {
							next, err := p.AssumeRole(roles[1].ARN())
							if err != nil {
								assert.ErrorIs(t, err, irsa.ErrClosed)
								return
							}
							mu.Lock()
							made = append(made, next)
							mu.Unlock()
						}
					})
				}
				all.Go(func() { assert.NoError(t, end()) })
				all.Wait()
				for _, next := range made {
					require.Equal(t, cache.Closed, next.Status().State)
				}
			}
		})
	}
}
