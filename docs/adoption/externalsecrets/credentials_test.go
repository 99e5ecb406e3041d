package externalsecrets_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/docs/adoption/externalsecrets"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// controller is external-secrets with the service accounts of two namespaces, whose role assumes
// two more.
type controller struct {
	kit           *irsatest.Cluster
	roles         []*irsatest.Role
	pool          *irsa.Pool
	tokenRequests atomic.Int64
}

func newController(t *testing.T) *controller {
	t.Helper()
	c := &controller{kit: irsatest.New(t)}
	shop, bank := c.kit.ServiceAccount("shop", "secrets"), c.kit.ServiceAccount("bank", "secrets")
	first := c.kit.Role("first", irsatest.Trust(shop, bank))
	second := c.kit.Role("second", irsatest.Trust(first), irsatest.InAccount("444455556666"))
	third := c.kit.Role("third", irsatest.Trust(second), irsatest.InAccount("777788889999"))
	c.roles = []*irsatest.Role{first, second, third}
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) {
		o.HTTPClient, o.Logger, o.AppID = c.kit.HTTPClient(), slog.New(slog.DiscardHandler), "external-secrets"
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, pool.Close()) })
	c.pool = pool
	return c
}

// credentials are those of a store of the namespace.
func (c *controller) credentials(namespace string) (aws.CredentialsProvider, error) {
	sa := externalsecrets.ServiceAccount{
		Namespace: namespace, Name: "secrets", Audiences: []string{"sts.amazonaws.com"}, RoleARN: c.roles[0].ARN(),
	}
	base, err := externalsecrets.WebIdentity(c.pool, sa, "us-west-2", func(context.Context) ([]byte, error) {
		c.tokenRequests.Add(1)
		return []byte(c.kit.ServiceAccount(sa.Namespace, sa.Name).Token()), nil
	})
	if err != nil {
		return nil, err
	}
	second, err := externalsecrets.AssumeRole(base, nil, c.roles[1].ARN())
	if err != nil {
		return nil, err
	}
	return externalsecrets.AssumeRole(second, nil, c.roles[2].ARN(), func(o *stscreds.AssumeRoleOptions) {
		o.ExternalID = aws.String(namespace)
	})
}

// reconcile reads three keys of the store.
func (c *controller) reconcile(ctx context.Context, namespace string) error {
	credentials, err := c.credentials(namespace)
	if err != nil {
		return err
	}
	for range 3 {
		if _, err := credentials.Retrieve(ctx); err != nil {
			return err
		}
	}
	return nil
}

func TestCredentialsAreSharedBetweenReconciliations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newController(t)
		for range 20 {
			require.NoError(t, c.reconcile(t.Context(), "shop"))
		}
		assert.Equal(t, 3, c.kit.STS.CallCount())
		assert.EqualValues(t, 1, c.tokenRequests.Load())
	})
}

func TestCredentialsAreNotSharedBetweenServiceAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newController(t)
		shop, err := c.credentials("shop")
		require.NoError(t, err)
		bank, err := c.credentials("bank")
		require.NoError(t, err)
		ofShop, err := shop.Retrieve(t.Context())
		require.NoError(t, err)
		ofBank, err := bank.Retrieve(t.Context())
		require.NoError(t, err)
		assert.NotEqual(t, ofShop.AccessKeyID, ofBank.AccessKeyID)
		assert.Equal(t, 6, c.kit.STS.CallCount())
		assert.EqualValues(t, 2, c.tokenRequests.Load())
	})
}
