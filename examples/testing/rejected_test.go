package shop_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	shop "github.com/irsakit/irsakit/examples/testing"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestLinkReportsRejectedToken(t *testing.T) {
	cases := map[string]struct {
		token  func(*irsatest.TokenOptions)
		kind   error  // the kind of the application's error
		code   string // STS's error code
		reason string // the cause recorded by the kit
	}{
		"expired":           {irsatest.Invalid("expired"), irsa.ErrTokenExpired, "ExpiredTokenException", ""},
		"not yet valid":     {irsatest.Invalid("not yet valid"), irsa.ErrTokenRejected, "InvalidIdentityToken", "the token is not valid before"},
		"another issuer":    {irsatest.Invalid("other issuer"), irsa.ErrTokenRejected, "InvalidIdentityToken", "account 111122223333 has no OIDC provider for"},
		"an unknown key":    {irsatest.Invalid("unknown key"), irsa.ErrUnavailable, "InvalidIdentityToken", "does not publish the key"},
		"a wrong signature": {irsatest.Invalid("bad signature"), irsa.ErrTokenRejected, "InvalidIdentityToken", "signature"},
		"another audience":  {irsatest.Claim("aud", "vault"), irsa.ErrTokenRejected, "InvalidIdentityToken", `the token's audience is ["vault"]`},
		"no subject":        {irsatest.Claim("sub", nil), irsa.ErrTokenRejected, "InvalidIdentityToken", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // simulated time: the first caller waits while attempts are retried
				k := irsatest.New(t)
				sa := k.ServiceAccount("shop", "cart")
				pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))
				pod.Rotate(c.token)
				u, err := shop.NewUploader(pod.Options)
				require.NoError(t, err)
				defer u.Close()

				_, err = u.Link(t.Context(), "4711")
				require.ErrorIs(t, err, c.kind)
				call := k.STS.Calls()[0]
				assert.Equal(t, c.code, call.Err)
				assert.Contains(t, call.Reason, c.reason)
			})
		})
	}
}

func TestUploaderDoesNotSendUnsignedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := irsatest.New(t)
		sa := k.ServiceAccount("shop", "cart")
		pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))
		pod.Rotate(irsatest.Invalid("unsigned"))
		u, err := shop.NewUploader(pod.Options)
		require.NoError(t, err)
		defer u.Close()

		_, err = u.Link(t.Context(), "4711")
		require.ErrorIs(t, err, irsa.ErrTokenFile)
		assert.Zero(t, k.STS.CallCount())
	})
}

func TestLinkReportsAccountMisconfiguration(t *testing.T) {
	cases := map[string]struct {
		mistake func(*irsatest.Cluster)
		kind    error
		reason  string
	}{
		"the role has no trust policy": {
			func(k *irsatest.Cluster) { k.Role("uploader") },
			irsa.ErrAccessDenied, "the role has no trust policy",
		},
		"the role trusts another service account": {
			func(k *irsatest.Cluster) {
				k.Role("uploader", irsatest.Trust(k.ServiceAccount("shop", "search")))
			},
			irsa.ErrAccessDenied, `expects "system:serviceaccount:shop:search", found "system:serviceaccount:shop:cart"`,
		},
		"the role trusts another cluster": {
			func(k *irsatest.Cluster) {
				k.Role("uploader", irsatest.Trust(k.NewIssuer().ServiceAccount("shop", "cart")))
			},
			irsa.ErrAccessDenied, "trust policy: statement 1: Principal expects ",
		},
		"there is no OIDC provider": {
			func(k *irsatest.Cluster) { k.UnregisterIssuer("111122223333", k.Issuer) },
			irsa.ErrTokenRejected, "account 111122223333 has no OIDC provider for https://oidc.eks.",
		},
		"the OIDC provider has another client ID": {
			func(k *irsatest.Cluster) { k.RegisterIssuer("111122223333", k.Issuer, "vault") },
			irsa.ErrTokenRejected, `the token's audience is ["sts.amazonaws.com"], the provider's client IDs are ["vault"]`,
		},
		"the issuer's keys are gone": {
			func(k *irsatest.Cluster) { k.Issuer.RotateKeys(); k.Issuer.RetireKeys() },
			irsa.ErrUnavailable, "does not publish the key",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := irsatest.New(t)
				sa := k.ServiceAccount("shop", "cart")
				pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))
				u, err := shop.NewUploader(pod.Options)
				require.NoError(t, err)
				defer u.Close()

				c.mistake(k)
				_, err = u.Link(t.Context(), "4711")
				require.ErrorIs(t, err, c.kind)
				assert.Contains(t, k.STS.Calls()[0].Reason, c.reason)
			})
		})
	}
}

func TestLinkReportsSessionLongerThanRoleAllows(t *testing.T) {
	k := irsatest.New(t)
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa), irsatest.MaxSessionDuration(2*time.Hour)))
	u, err := shop.NewUploader(pod.Options, func(o *irsa.Options) { o.Duration = 3 * time.Hour })
	require.NoError(t, err)
	defer u.Close()

	_, err = u.Link(t.Context(), "4711")
	require.ErrorIs(t, err, irsa.ErrInvalidRequest)
	assert.Equal(t, 3*time.Hour, k.STS.Calls()[0].Duration)
}

func TestLinkReportsMissingRole(t *testing.T) {
	k := irsatest.New(t)
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))
	u, err := shop.NewUploader(pod.Options, func(o *irsa.Options) {
		o.RoleARN = "arn:aws:iam::111122223333:role/upload" // a typo
	})
	require.NoError(t, err)
	defer u.Close()

	_, err = u.Link(t.Context(), "4711")
	require.ErrorIs(t, err, irsa.ErrAccessDenied)
	assert.Equal(t, "there is no role arn:aws:iam::111122223333:role/upload", k.STS.Calls()[0].Reason)
}

func TestLinkErrorContainsDetails(t *testing.T) {
	k := irsatest.New(t)
	sa := k.ServiceAccount("shop", "cart")
	role := k.Role("uploader") // without a trust policy
	u, err := shop.NewUploader(k.Pod(sa, role).Options)
	require.NoError(t, err)
	defer u.Close()

	_, err = u.Link(t.Context(), "4711")
	var failure *irsa.Error
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, "AccessDenied", failure.Code)
	assert.Equal(t, role.ARN(), failure.RoleARN)
	assert.Equal(t, k.Issuer.URL(), failure.Issuer)
	assert.Equal(t, sa.Subject(), failure.Subject)
	assert.Equal(t, []string{"sts.amazonaws.com"}, failure.Audience)
}
