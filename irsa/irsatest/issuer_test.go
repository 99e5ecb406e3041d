package irsatest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func withToken(token string) func(*sts.AssumeRoleWithWebIdentityInput) {
	return func(in *sts.AssumeRoleWithWebIdentityInput) { in.WebIdentityToken = aws.String(token) }
}

func TestIssuerSignsWithBothAlgorithmsDuringRotation(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		old := w.pod.Token()
		assert.Equal(t, "ES256", header(t, old)["alg"])
		w.Issuer.SetAlgorithm("RS256")
		w.pod.Rotate()
		assert.Equal(t, "ES256", header(t, w.pod.Token())["alg"], "the key is unchanged")
		w.Issuer.RotateKeys()
		w.pod.Rotate()
		assert.Equal(t, "RS256", header(t, w.pod.Token())["alg"])
		for _, token := range []string{old, w.pod.Token()} {
			_, err := w.assume(t.Context(), withToken(token))
			require.NoError(t, err)
		}
		w.Issuer.RetireKeys()
		_, err := w.assume(t.Context())
		require.NoError(t, err)
		_, err = w.assume(t.Context(), withToken(old))
		requireRejection(t, err, "InvalidIdentityToken", 400)
	})
}

func TestClusterNewIssuerNeedsRegistration(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		green := w.NewIssuer()
		require.NotEqual(t, w.Issuer.URL(), green.URL())
		green.SetAlgorithm("ES256")
		sa := green.ServiceAccount("shop", "cart")
		both := w.Role("both", irsatest.Trust(w.sa, sa))
		pod := w.Pod(sa, both)
		in := func(in *sts.AssumeRoleWithWebIdentityInput) {
			in.RoleArn, in.WebIdentityToken = aws.String(both.ARN()), aws.String(pod.Token())
		}

		_, err := w.assume(t.Context(), in)
		assert.Equal(t, "No OpenIDConnect provider found in your account for "+green.URL(), requireRejection(t, err, "InvalidIdentityToken", 400))
		w.RegisterIssuer("111122223333", green)
		_, err = w.assume(t.Context(), in)
		require.NoError(t, err)
		_, err = w.assume(t.Context(), withToken(pod.Token()))
		requireRejection(t, err, "AccessDenied", 403) // the first role trusts only the first cluster
		assert.Regexp(t, "oidc-provider", w.STS.Calls()[2].Reason)
	})
}

func TestClusterUsesIssuerURLOption(t *testing.T) {
	const url = "https://oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
	named := func(o *irsatest.Options) { o.IssuerURL = url }
	w := inMemory(t, named)
	assert.Equal(t, url, part(t, w.pod.Token(), 1)["iss"])
	_, err := w.assume(t.Context())
	require.NoError(t, err)

	k, err := irsatest.Start(named)
	require.NoError(t, err)
	defer k.Close()
	_, err = populate(k).assume(t.Context())
	require.NoError(t, err)

	for _, bad := range []string{"http://issuer.example", "issuer.example", "https://", "https://issuer.example?a=b", "https://issuer.example#a", "https://issuer.example?", "https://issuer.example#", "https://user@issuer.example", ":"} {
		_, err := irsatest.Start(func(o *irsatest.Options) { o.IssuerURL = bad })
		require.ErrorContains(t, err, "is not the URL of an OIDC issuer", bad)
	}
	for bad, reason := range refusedByIAM {
		_, err := irsatest.Start(func(o *irsatest.Options) { o.IssuerURL = bad })
		require.EqualError(t, err, "irsatest: IAM does not accept an OIDC provider with "+reason+": "+bad)
	}
}

// The URL of an issuer may contain escapes, or be the beginning of another issuer's URL.
func TestSTSFindsIssuerByItsWholeURL(t *testing.T) {
	for _, url := range []string{
		"https://oidc.eks.us-west-2.amazonaws.com", "https://oidc.eks.us-west-2.amazonaws.com/id",
		"https://issuer.example/a%20b", "https://issuer.example/a%2Fb", "https://issuer.example/a/../b",
		"https://issuer.example/", "https://eastus.oic.prod-aks.azure.com/tenant/cluster/", // as in Azure Kubernetes Service
	} {
		t.Run(url, func(t *testing.T) {
			w := inMemory(t, func(o *irsatest.Options) { o.IssuerURL = url })
			_, err := w.assume(t.Context())
			require.NoError(t, err, w.STS.Calls()[0].Reason)

			other := w.NewIssuer()
			w.RegisterIssuer("111122223333", other)
			sa := other.ServiceAccount("shop", "cart")
			w.role.SetTrustPolicy(w.Role("other", irsatest.Trust(sa)).TrustPolicy())
			_, err = w.assume(t.Context(), withToken(sa.Token()))
			require.NoError(t, err, w.STS.Calls()[1].Reason)
		})
	}
}

// refusedByIAM maps issuers that IAM does not register to the reason.
var refusedByIAM = map[string]string{
	"https://10.0.0.1":                 "an IP address",
	"https://[fd00::1]":                "an IP address",
	"https://10.0.0.1:6443":            "a port",
	"https://kubernetes.example:6443":  "a port",
	"https://issuer.example:443/shop1": "a port",
}

func TestClusterRegisterIssuerRejectsUnregistrableIssuers(t *testing.T) {
	w := onLoopback(t)
	for bad, reason := range refusedByIAM {
		issuer := w.ExternalIssuer(bad, nil)
		assert.PanicsWithError(t, "irsatest: IAM does not accept an OIDC provider with "+reason+": "+bad, func() { w.RegisterIssuer("111122223333", issuer) })
	}
	w.RegisterIssuer("444455556666", w.NewIssuer()) // the kit's own, with a port
}

func TestIssuerPublishesDiscoveryDocumentAndKeys(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		get := func(url string) (int, map[string]any) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
			require.NoError(t, err)
			res, err := w.HTTPClient().Do(req)
			require.NoError(t, err)
			var out map[string]any
			_ = json.Unmarshal([]byte(readAll(t, res)), &out)
			return res.StatusCode, out
		}
		w.Issuer.SetAlgorithm("RS256")
		w.Issuer.RotateKeys()
		status, document := get(w.Issuer.URL() + "/.well-known/openid-configuration")
		assert.Equal(t, 200, status)
		assert.Equal(t, w.Issuer.URL(), document["issuer"])
		assert.Equal(t, []any{"ES256", "RS256"}, document["id_token_signing_alg_values_supported"])
		status, keys := get(document["jwks_uri"].(string))
		assert.Equal(t, 200, status)
		require.Len(t, keys["keys"], 2)
		for _, key := range keys["keys"].([]any) {
			assert.NotContains(t, key, "d", "no private key is published")
			assert.NotContains(t, key, "p")
		}
		status, _ = get(w.Issuer.URL() + "/other")
		assert.Equal(t, 404, status)
		status, _ = get(strings.Replace(w.Issuer.URL(), "/id/", "/id/0", 1) + "/keys")
		assert.Equal(t, 404, status)
	})
}

func TestServiceAccountTokenOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		now := time.Now().Unix()
		claims := part(t, w.sa.Token(), 1)
		assert.Equal(t, "system:serviceaccount:shop:cart", claims["sub"])
		assert.Equal(t, w.sa.Subject(), claims["sub"])
		assert.NotContains(t, claims["kubernetes.io"], "pod", "the token is not bound to a pod")

		claims = part(t, w.sa.Token(func(o *irsatest.TokenOptions) {
			o.Lifetime, o.ClockSkew, o.Audiences = time.Hour, time.Minute, []string{"one", "two"}
		}, irsatest.Claim("email", "cart@shop.example"), irsatest.Claim("jti", nil)), 1)
		assert.Equal(t, number(now+60), claims["iat"])
		assert.Equal(t, number(now+60), claims["nbf"])
		assert.Equal(t, number(now+60+3600), claims["exp"])
		assert.Equal(t, []any{"one", "two"}, claims["aud"])
		assert.Equal(t, "cart@shop.example", claims["email"])
		assert.NotContains(t, claims, "jti")

		_, err := w.assume(t.Context(), withToken(w.sa.Token()))
		require.NoError(t, err)
	})
}

func TestTrustPolicyMatchesOnlyClaimsExposedByAWS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		policy := w.role.TrustPolicy()
		expect := func(claim, value string) {
			w.role.SetTrustPolicy(strings.Replace(policy, `"StringEquals": {`, `"StringEquals": {
				"`+strings.TrimPrefix(w.Issuer.URL(), "https://")+`:`+claim+`": "`+value+`",
				"sts:RoleSessionName": "session",`, 1))
		}
		expect("amr", "pod")
		_, err := w.assume(t.Context())
		requireRejection(t, err, "AccessDenied", 403)
		assert.Contains(t, w.STS.Calls()[0].Reason, ":amr")
		w.pod.Rotate(irsatest.Claim("amr", "pod"))
		_, err = w.assume(t.Context())
		require.NoError(t, err)

		expect("email", "cart@shop.example")
		w.pod.Rotate(irsatest.Claim("email", "cart@shop.example"))
		_, err = w.assume(t.Context())
		requireRejection(t, err, "AccessDenied", 403)
		assert.Contains(t, w.STS.Calls()[2].Reason, "a trust policy can use only the claims sub, aud, amr of a token")
	})
}
