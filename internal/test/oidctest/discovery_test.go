package oidctest

import (
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestDiscoveryAgreesWithGoOIDC(t *testing.T) {
	i := newIssuer(t)
	token, ofRSA := i.token(t, goodHeader, goodClaims), i.token(t, `{"alg":"RS256","kid":"rsa"}`, goodClaims)
	document, keys := i.documents[discoveryPath], i.documents[keysPath]
	// withKey returns the key set with an additional first key.
	withKey := func(key string) string { return strings.Replace(keys, "[", "["+key+", ", 1) }
	// onlyKey returns a key set with one key.
	onlyKey := func(key string) string { return `{"keys": [` + key + `]}` }
	// labeled returns an RSA key with an additional member.
	labeled := func(member string) string { return strings.Replace(i.jwk(t, "rsa", "rsa"), "{", "{"+member+", ", 1) }
	for name, tt := range map[string]struct {
		path, text string // the issuer publishes text at path
		token      string
		accepted   bool   // by irsatest
		difference string // why the result of go-oidc differs; "" if it does not
	}{
		"valid document":                        {discoveryPath, document, token, true, ""},
		"another issuer":                        {discoveryPath, strings.Replace(document, issuerURL, "https://other.example", 1), token, false, ""},
		"issuer with slash":                     {discoveryPath, strings.Replace(document, issuerURL, issuerURL+"/", 1), token, false, ""},
		"issuer in capitals":                    {discoveryPath, strings.Replace(document, issuerURL, strings.ToUpper(issuerURL), 1), token, false, ""},
		"no issuer":                             {discoveryPath, strings.Replace(document, `"issuer"`, `"iss"`, 1), token, false, ""},
		"number as issuer":                      {discoveryPath, strings.Replace(document, `"`+issuerURL+`"`, "1", 1), token, false, ""},
		"no JSON":                               {discoveryPath, "<html>", token, false, ""},
		"null":                                  {discoveryPath, "null", token, false, ""},
		"empty document":                        {discoveryPath, "", token, false, ""},
		"two documents":                         {discoveryPath, document + document, token, false, ""},
		"white space around document":           {discoveryPath, "\n" + document + "\n", token, true, ""},
		"no URL of keys":                        {discoveryPath, `{"issuer": "` + issuerURL + `"}`, token, false, ""},
		"invalid URL of keys":                   {discoveryPath, strings.Replace(document, issuerURL+keysPath, ":", 1), token, false, ""},
		"keys not found":                        {discoveryPath, strings.Replace(document, keysPath, "/other", 1), token, false, ""},
		"empty key set":                         {keysPath, `{"keys": []}`, token, false, ""},
		"list as key set":                       {keysPath, `[]`, token, false, ""},
		"text after key set":                    {keysPath, keys + "}", token, false, ""},
		"only the key":                          {keysPath, onlyKey(i.jwk(t, "p256", "p256")), token, true, ""},
		"key twice":                             {keysPath, withKey(i.jwk(t, "p256", "p256")), token, true, ""},
		"only unknown key with known ID":        {keysPath, onlyKey(i.jwk(t, "unknown", "p256")), token, false, ""},
		"unknown key with known ID and the key": {keysPath, withKey(i.jwk(t, "unknown", "p256")), token, true, ""},
		"RSA key with its ID":                   {keysPath, onlyKey(i.jwk(t, "rsa", "p256")), token, false, ""},
		"key with another ID":                   {keysPath, onlyKey(i.jwk(t, "p256", "other")), token, false, ""},
		"key without ID":                        {keysPath, onlyKey(i.jwk(t, "p256", "")), token, false, ""},
		"additional key of unknown type":        {keysPath, withKey(`{"kty": "XXX", "kid": "x"}`), token, true, ""},
		"additional key of unknown curve":       {keysPath, withKey(`{"kty": "EC", "crv": "secp256k1", "alg": "ES256K", "x": "AA", "y": "AA"}`), token, true, ""},
		"additional Ed448 key":                  {keysPath, withKey(`{"kty": "OKP", "crv": "Ed448", "x": "AA"}`), token, true, ""},
		"additional null":                       {keysPath, withKey(`null`), token, false, ""},
		"additional incomplete key":             {keysPath, withKey(`{"kty": "EC", "crv": "P-256"}`), token, false, ""},
		"additional number":                     {keysPath, withKey(`1`), token, false, ""},
		"additional secret":                     {keysPath, withKey(`{"kty": "oct", "kid": "p256", "k": "AAAA"}`), token, true, ""},
		"key with algorithm RS256":              {keysPath, onlyKey(labeled(`"alg": "RS256", "use": "sig"`)), ofRSA, true, ""},
		"key for encryption":                    {keysPath, onlyKey(labeled(`"alg": "RSA-OAEP", "use": "enc"`)), ofRSA, false, ""},
		"key with algorithm HS256":              {keysPath, onlyKey(labeled(`"alg": "HS256"`)), ofRSA, false, ""},
		"key with algorithm RS512":              {keysPath, onlyKey(labeled(`"alg": "RS512"`)), ofRSA, true, ""},
		"key with algorithm PS256":              {keysPath, onlyKey(labeled(`"alg": "PS256"`)), ofRSA, false, "the key is for an algorithm that IAM does not support (RFC 7517, section 4.4)"},
		"additional incomplete key with unknown algorithm": {keysPath, withKey(`{"kty": "EC", "crv": "P-256", "alg": "ES256K"}`), token, false, "go-oidc does not read keys for algorithms that it does not know"},
		"document of more than 1 MiB":                      {discoveryPath, document + strings.Repeat(" ", 1<<20), token, false, "the kit reads at most 1 MiB"},
		"key set of more than 1 MiB":                       {keysPath, keys + strings.Repeat(" ", 1<<20), token, false, "the kit reads at most 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			v := i.publishing(tt.path, tt.text).verifiers(t)
			byIrsakit, ours := v.irsakit(t, tt.token)
			byGoOIDC, theirs := v.goOIDC(t, tt.token)
			assert.Equal(t, tt.accepted, byIrsakit, ours)
			assert.Equal(t, tt.accepted == (tt.difference == ""), byGoOIDC, theirs)
		})
	}
}

// The issuer in Google's tokens has no scheme. go-oidc makes an exception for it.
func TestAssumeRoleWithWebIdentityHasNoExceptionForGoogle(t *testing.T) {
	i := newIssuer(t)
	const google = "https://accounts.google.com"
	i.url = google
	for path, text := range i.documents {
		i.documents[path] = strings.ReplaceAll(text, issuerURL, google)
	}
	v := i.verifiers(t)
	accepted, answer := v.irsakit(t, i.token(t, goodHeader, strings.Replace(goodClaims, issuerURL, google, 1)))
	assert.True(t, accepted, answer)
	token := i.token(t, goodHeader, strings.Replace(goodClaims, issuerURL, "accounts.google.com", 1))
	accepted, answer = v.irsakit(t, token)
	assert.False(t, accepted, answer)
	accepted, answer = v.goOIDC(t, token)
	assert.True(t, accepted, answer)
}

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
