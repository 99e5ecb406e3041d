package main

import (
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clienttesting "k8s.io/client-go/testing"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func newPool(t *testing.T, c *cluster) *irsa.Pool {
	t.Helper()
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) { o.Region, o.HTTPClient = region, c.kit.HTTPClient() })
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, pool.Close()) })
	return pool
}

// addTenant returns a bucket and the service account of a new tenant.
func addTenant(t *testing.T, c *cluster, namespace, audience string) (*bucket, *corev1.ServiceAccount) {
	t.Helper()
	b, err := c.addTenant(namespace, audience)
	require.NoError(t, err)
	account, err := c.client.CoreV1().ServiceAccounts(namespace).Get(t.Context(), serviceAccount, metav1.GetOptions{})
	require.NoError(t, err)
	return b, account
}

func TestProvidersAssumeRolesInThreeAccounts(t *testing.T) {
	for name, of := range map[string]func(*testing.T, *cluster) providers{
		"Pool": func(t *testing.T, c *cluster) providers { return fromPool(newPool(t, c), c.api()) },
		"SDK": func(_ *testing.T, c *cluster) providers {
			return fromSDK(aws.Config{Region: region, HTTPClient: c.kit.HTTPClient()}, c.api())
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(irsatest.New(t))
				c.kit.RegisterIssuer("111122223333", c.kit.Issuer, "tenants.example")
				b, account := addTenant(t, c, "shop", "tenants.example")
				provider, err := of(t, c)(account, b.roles)
				require.NoError(t, err)
				creds, err := provider.Retrieve(t.Context())
				require.NoError(t, err)
				assert.Equal(t, dataAccount, creds.AccountID)
				assert.Equal(t, 3, c.kit.STS.CallCount())
				assert.Equal(t, "system:serviceaccount:shop:app", c.kit.STS.Calls()[0].Subject)

				delete(account.Annotations, roleAnnotation)
				_, err = of(t, c)(account, b.roles)
				require.ErrorIs(t, err, errNoRole)
			})
		})
	}
}

func TestFromPoolSharesProvidersAcrossReconciliations(t *testing.T) {
	c := newCluster(irsatest.New(t))
	b, account := addTenant(t, c, "shop", "")
	other, otherAccount := addTenant(t, c, "search", "")
	pool := newPool(t, c)
	first, err := fromPool(pool, c.api())(account, b.roles)
	require.NoError(t, err)
	again, err := fromPool(pool, c.api())(account.DeepCopy(), b.roles)
	require.NoError(t, err)
	assert.Same(t, first, again)
	_, err = fromPool(pool, c.api())(otherAccount, other.roles)
	require.NoError(t, err)
	assert.Equal(t, map[string]irsa.TenantStatus{"shop": {Roles: 3}, "search": {Roles: 3}}, pool.Status().Tenants)

	otherAccount.Annotations = account.Annotations // another tenant cannot assume the role
	foreign, err := fromPool(pool, c.api())(otherAccount, nil)
	require.NoError(t, err)
	_, err = foreign.Retrieve(t.Context())
	require.ErrorIs(t, err, irsa.ErrAccessDenied)
}

func TestTokensRequestsTokenForEachExchange(t *testing.T) {
	c := newCluster(irsatest.New(t))
	_, account := addTenant(t, c, "shop", "")
	source := c.api().tokens(account)
	for range 2 {
		token, err := source.Token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"sts.amazonaws.com"}, token.Claims().Audience)
	}
	assert.Equal(t, 2, c.tokenRequests())
	actions := c.client.Actions()
	request := actions[len(actions)-1].(clienttesting.CreateAction).GetObject().(*authenticationv1.TokenRequest)
	assert.Equal(t, int64(600), *request.Spec.ExpirationSeconds)

	account.Name = "nobody"
	provider, err := fromPool(newPool(t, c), c.api())(account, nil)
	require.NoError(t, err)
	_, err = provider.Retrieve(t.Context())
	require.ErrorIs(t, err, irsa.ErrTokenFile)
	assert.True(t, apierrors.IsNotFound(err), err)
	assert.ErrorContains(t, err, "token of service account shop/nobody")
}

func TestTokensIdentifiesServiceAccount(t *testing.T) {
	identity := func(url, namespace, name, audience string) string {
		return apiServer{url: url}.tokens(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, Annotations: map[string]string{audienceAnnotation: audience},
		}}).Identity()
	}
	first := identity("https://one.example", "shop", "cart", "")
	assert.Equal(t, first, identity("https://one.example", "shop", "cart", "sts.amazonaws.com"))
	for _, other := range []string{
		identity("https://two.example", "shop", "cart", ""),
		identity("https://one.example", "other", "cart", ""),
		identity("https://one.example", "shop", "other", ""),
		identity("https://one.example", "shop", "cart", "other"),
	} {
		assert.NotEqual(t, first, other)
	}
}
