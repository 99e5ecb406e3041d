package certmanager_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/docs/adoption/certmanager"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// controller is cert-manager with the service account of one issuer.
type controller struct {
	kit           *irsatest.Cluster
	role          *irsatest.Role
	pool          *irsa.Pool
	tokenRequests atomic.Int64
	requestToken  certmanager.TokenRequest
}

func newController(t *testing.T) *controller {
	t.Helper()
	c := &controller{kit: irsatest.New(t)}
	dns := c.kit.ServiceAccount("shop", "dns")
	c.role = c.kit.Role("dns", irsatest.Trust(dns))
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) {
		o.HTTPClient, o.Logger = c.kit.HTTPClient(), slog.New(slog.DiscardHandler)
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, pool.Close()) })
	c.pool = pool
	c.requestToken = func(_ context.Context, namespace, name string, audiences []string) (string, error) {
		c.tokenRequests.Add(1)
		return c.kit.ServiceAccount(namespace, name).Token(func(o *irsatest.TokenOptions) { o.Audiences = audiences }), nil
	}
	return c
}

// challenge does what Present and CleanUp of a challenge do about credentials.
func (c *controller) challenge(ctx context.Context, serviceAccount string) error {
	for range 2 {
		token := certmanager.ServiceAccountToken(c.requestToken, "shop", serviceAccount, []string{"sts.amazonaws.com"})
		cfg, err := certmanager.ServiceAccountConfig(ctx, c.pool, c.role.ARN(), "us-west-2", token)
		if err != nil {
			return err
		}
		for range 3 { // requests to Route 53
			if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestConfigSharesCredentialsBetweenChallenges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newController(t)
		for range 20 {
			require.NoError(t, c.challenge(t.Context(), "dns"))
			time.Sleep(time.Minute)
		}
		assert.Equal(t, 1, c.kit.STS.CallCount())
		assert.EqualValues(t, 1, c.tokenRequests.Load())

		// Unused credentials are refreshed for two more lifetimes.
		time.Sleep(24 * time.Hour)
		assert.LessOrEqual(t, c.kit.STS.CallCount(), 4)
		assert.EqualValues(t, c.kit.STS.CallCount(), c.tokenRequests.Load())
	})
}

func TestConfigReturnsTheSameTextForTheSameCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newController(t)
		first := c.challenge(t.Context(), "other")
		require.ErrorIs(t, first, irsa.ErrAccessDenied)
		calls := c.kit.STS.CallCount()
		require.EqualError(t, c.challenge(t.Context(), "other"), first.Error())
		assert.Equal(t, calls, c.kit.STS.CallCount(), "no exchange before it is due")

		time.Sleep(time.Hour)
		require.EqualError(t, c.challenge(t.Context(), "other"), first.Error())
		assert.Greater(t, c.kit.STS.CallCount(), calls)
		require.NoError(t, c.challenge(t.Context(), "dns"), "another service account")
	})
}
