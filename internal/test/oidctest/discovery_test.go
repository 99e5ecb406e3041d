package oidctest

import (
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestDiscoveryAgreesWithGoOIDC(t *testing.T) {
	i := newIssuer(t, issuerURL)
	token, ofRSA := i.token(t, goodHeader, goodClaims), i.token(t, `{"alg":"RS256","kid":"rsa"}`, goodClaims)
	document, keys, rsa := string(i.documents[discoveryPath].Data), string(i.documents[keysPath].Data), i.jwk(t, "rsa", "rsa")
	known, unknown := i.jwk(t, "p256", "p256"), i.jwk(t, "unknown", "p256")
	tooLong := strings.Repeat(" ", 1<<20) // the kit reads at most 1 MiB
	// with returns the document with a part replaced.
	with := func(old, text string) string { return strings.Replace(document, old, text, 1) }
	// only returns a key set with one key, and also returns the key set with an additional first key.
	only := func(key string) string { return `{"keys": [` + key + `]}` }
	also := func(key string) string { return strings.Replace(keys, "[", "["+key+", ", 1) }
	// labeled returns a key set with the RSA key, with additional members.
	labeled := func(members string) string { return only(strings.Replace(rsa, "{", "{"+members+", ", 1)) }
	for _, tt := range []struct {
		path  string // the issuer publishes each of the texts at path
		token string
		texts map[verdict][]string
	}{
		{discoveryPath, token, map[verdict][]string{
			both: {document, "\n" + document + "\n"},
			neither: {
				"", "null", "<html>", document + document, `{"issuer": "` + issuerURL + `"}`,
				with(issuerURL, "https://other.example"), with(issuerURL, issuerURL+"/"), with(issuerURL, strings.ToUpper(issuerURL)),
				with(`"issuer"`, `"iss"`), with(`"`+issuerURL+`"`, "1"), with(issuerURL+"/"+keysPath, ":"), with("/"+keysPath, "/other"),
			},
			onlyGoOIDC: {document + tooLong},
		}},
		{keysPath, token, map[verdict][]string{
			both: {
				only(known), also(known), also(unknown), also(`{"kty": "XXX", "kid": "x"}`), also(`{"kty": "OKP", "crv": "Ed448", "x": "AA"}`),
				also(`{"kty": "EC", "crv": "secp256k1", "alg": "ES256K", "x": "AA", "y": "AA"}`), also(`{"kty": "oct", "kid": "p256", "k": "AAAA"}`),
			},
			neither: {
				only(""), `[]`, keys + "}", only(unknown), only(i.jwk(t, "rsa", "p256")), only(i.jwk(t, "p256", "other")), only(i.jwk(t, "p256", "")),
				also("null"), also("1"), also(`{"kty": "EC", "crv": "P-256"}`),
			},
			// go-oidc does not read keys for algorithms that it does not know.
			onlyGoOIDC: {also(`{"kty": "EC", "crv": "P-256", "alg": "ES256K"}`), keys + tooLong},
		}},
		{keysPath, ofRSA, map[verdict][]string{
			both:    {labeled(`"alg": "RS256", "use": "sig"`), labeled(`"alg": "RS512"`)},
			neither: {labeled(`"alg": "RSA-OAEP", "use": "enc"`), labeled(`"alg": "HS256"`)},
			// The key is for an algorithm that IAM does not support (RFC 7517, section 4.4).
			onlyGoOIDC: {labeled(`"alg": "PS256"`)},
		}},
	} {
		for want, texts := range tt.texts {
			for _, text := range texts {
				got, answers := i.publishing(tt.path, text).verifiers(t).verify(t, tt.token)
				assert.Equal(t, want, got, "%.500q\n%s", text, answers)
			}
		}
	}
}

// The issuer in Google's tokens has no scheme. go-oidc makes an exception for it.
func TestAssumeRoleWithWebIdentityHasNoExceptionForGoogle(t *testing.T) {
	const google = "https://accounts.google.com"
	i := newIssuer(t, google)
	v := i.verifiers(t)
	for name, want := range map[string]verdict{google: both, "accounts.google.com": onlyGoOIDC} {
		got, answers := v.verify(t, i.token(t, goodHeader, strings.Replace(goodClaims, issuerURL, name, 1)))
		assert.Equal(t, want, got, answers)
	}
}

func TestIssuerServesAnyOIDCClient(t *testing.T) {
	for _, loopback := range []bool{false, true} {
		for _, algorithm := range []string{"RS256", "ES256"} {
			k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = loopback })
			k.Issuer.SetAlgorithm(algorithm)
			k.Issuer.RotateKeys() // the new key has the algorithm
			sa := k.ServiceAccount("shop", "cart")
			ctx := oidc.ClientContext(t.Context(), k.HTTPClient())
			provider, err := oidc.NewProvider(ctx, k.Issuer.URL())
			require.NoError(t, err)
			verifier := provider.Verifier(&oidc.Config{ClientID: "sts.amazonaws.com", SupportedSigningAlgs: []string{algorithm}})
			verified, err := verifier.Verify(ctx, sa.Token())
			require.NoError(t, err)
			assert.Equal(t, "system:serviceaccount:shop:cart", verified.Subject)
			_, err = verifier.Verify(ctx, sa.Token(irsatest.Invalid("bad signature")))
			require.Error(t, err)
		}
	}
}
