package irsatest_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// The issuer elsewhere is that of a second kit, which the first one reaches with a client
// and in no other way.
func TestAnIssuerElsewhereIsDiscoveredAndItsTokensAreVerified(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		there := irsatest.New(t)
		sa := there.ServiceAccount("shop", "cart")
		issuer := w.ExternalIssuer(there.Issuer.URL(), there.HTTPClient())
		assert.Equal(t, there.Issuer.URL(), issuer.URL())
		role := w.Role("s3-writer", irsatest.Trust(issuer.ServiceAccount("shop", "cart")))
		assume := func(token string) error {
			_, err := w.assume(t.Context(), withToken(token), func(in *sts.AssumeRoleWithWebIdentityInput) {
				in.RoleArn = aws.String(role.ARN())
			})
			return err
		}

		requireRefusal(t, assume(sa.Token()), "InvalidIdentityToken", 400) // nobody has registered it
		w.RegisterIssuer("111122223333", issuer)
		old := sa.Token()
		require.NoError(t, assume(old))
		requireRefusal(t, assume(sa.Token(irsatest.BadSignature)), "InvalidIdentityToken", 400)
		requireRefusal(t, assume(sa.Token(irsatest.Expired)), "ExpiredTokenException", 400)
		requireRefusal(t, assume(there.ServiceAccount("shop", "till").Token()), "AccessDenied", 403)

		there.Issuer.RotateKeys()
		require.NoError(t, assume(sa.Token()))
		require.NoError(t, assume(old))
		there.Issuer.RetireKeys()
		require.NoError(t, assume(sa.Token()))
		message := requireRefusal(t, assume(old), "InvalidIdentityToken", 400)
		assert.Contains(t, message, "Couldn't retrieve verification key")
	})
}

func TestTheKitMakesNoTokenOfAnIssuerElsewhere(t *testing.T) {
	w, err := irsatest.Start()
	require.NoError(t, err)
	defer w.Close()
	issuer := w.ExternalIssuer("https://oidc.example.com", nil)
	sa := issuer.ServiceAccount("shop", "cart")
	for name, misuse := range map[string]func(){
		"a token":          func() { sa.Token() },
		"a pod":            func() { w.Pod(sa, w.Role("s3-writer")) },
		"a rotation":       issuer.RotateKeys,
		"a retirement":     issuer.RetireKeys,
		"an algorithm":     func() { issuer.SetAlgorithm(irsatest.ES256) },
		"an issuer's name": func() { w.ExternalIssuer("http://oidc.example.com", nil) },
	} {
		assert.Panics(t, misuse, name)
	}
}
