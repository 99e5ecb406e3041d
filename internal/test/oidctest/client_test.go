package oidctest

import (
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestIssuerServesAnyOIDCClient(t *testing.T) {
	for _, loopback := range []bool{false, true} {
		for _, algorithm := range []string{"RS256", "ES256"} {
			k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = loopback })
			k.Issuer.SetAlgorithm(algorithm)
			sa := k.ServiceAccount("shop", "cart")
			verify := func(token string) (*oidc.IDToken, error) {
				ctx := oidc.ClientContext(t.Context(), k.HTTPClient())
				provider, err := oidc.NewProvider(ctx, k.Issuer.URL())
				require.NoError(t, err)
				return provider.Verifier(&oidc.Config{ClientID: "sts.amazonaws.com", Now: time.Now}).Verify(ctx, token)
			}
			old := sa.Token()
			token, err := verify(old)
			require.NoError(t, err)
			assert.Equal(t, "system:serviceaccount:shop:cart", token.Subject)
			_, err = verify(sa.Token(irsatest.Invalid("bad signature")))
			require.Error(t, err)

			k.Issuer.RotateKeys()
			for _, token := range []string{old, sa.Token()} {
				_, err = verify(token)
				require.NoError(t, err)
			}
			k.Issuer.RetireKeys()
			_, err = verify(old)
			require.Error(t, err)
			k.STS.Down()
			_, err = verify(sa.Token())
			require.NoError(t, err, "the issuer stays up")
		}
	}
}
