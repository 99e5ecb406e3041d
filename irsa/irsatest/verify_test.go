package irsatest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

const elsewhere = "https://issuer.example"

// A site is the transport of an external issuer. It maps paths to published documents.
type site map[string]string

func (s site) RoundTrip(r *http.Request) (*http.Response, error) {
	text := s[strings.TrimPrefix(r.URL.String(), elsewhere)]
	status := http.StatusOK
	if text == "" {
		status = http.StatusNotFound
	}
	return &http.Response{Status: http.StatusText(status), StatusCode: status, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

// newSite returns a site that publishes keys.
func newSite(t *testing.T, keys ...jose.JSONWebKey) site {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, key := range keys {
		set.Keys = append(set.Keys, key.Public())
	}
	text, err := json.Marshal(set)
	require.NoError(t, err)
	return site{
		"/.well-known/openid-configuration": `{"issuer": "` + elsewhere + `", "jwks_uri": "` + elsewhere + `/keys"}`,
		"/keys":                             string(text),
	}
}

// exchange sends a token from the site to an STS, and returns Call.Reason and the error.
func (s site) exchange(t *testing.T, token string) (reason string, err error) {
	t.Helper()
	w := inMemory(t)
	issuer := w.ExternalIssuer(elsewhere, &http.Client{Transport: s})
	w.RegisterIssuer("111122223333", issuer)
	role := w.Role("elsewhere", irsatest.Trust(issuer.ServiceAccount("shop", "cart")))
	_, err = w.assume(t.Context(), withToken(token), func(in *sts.AssumeRoleWithWebIdentityInput) {
		in.RoleArn = aws.String(role.ARN())
	})
	return w.STS.Calls()[0].Reason, err
}

// signed returns a token from the site, signed with key.
func signed(t *testing.T, algorithm jose.SignatureAlgorithm, key any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, nil)
	require.NoError(t, err)
	now := time.Now()
	token, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: elsewhere, Subject: "system:serviceaccount:shop:cart", Audience: jwt.Audience{"sts.amazonaws.com"},
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Hour)),
	}).Serialize()
	require.NoError(t, err)
	return token
}

func ecKey(t *testing.T, id string, curve elliptic.Curve) jose.JSONWebKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return jose.JSONWebKey{Key: key, KeyID: id}
}

func rsaKey(t *testing.T, id string) jose.JSONWebKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return jose.JSONWebKey{Key: key, KeyID: id}
}

func TestSTSVerifyAcceptsIAMAlgorithms(t *testing.T) {
	ofRSA := rsaKey(t, "one")
	for algorithm, key := range map[jose.SignatureAlgorithm]jose.JSONWebKey{
		jose.RS256: ofRSA, jose.RS384: ofRSA, jose.RS512: ofRSA,
		jose.ES256: ecKey(t, "one", elliptic.P256()), jose.ES384: ecKey(t, "one", elliptic.P384()), jose.ES512: ecKey(t, "one", elliptic.P521()),
	} {
		reason, err := newSite(t, key).exchange(t, signed(t, algorithm, key))
		require.NoError(t, err, "%s: %s", algorithm, reason)
	}
}

func TestSTSVerifyRejectsOtherAlgorithms(t *testing.T) {
	key := rsaKey(t, "one")
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Key.(crypto.Signer).Public())
	require.NoError(t, err)
	secret := jose.JSONWebKey{Key: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), KeyID: "one"}
	ofRSA, ofEdwards := newSite(t, key), newSite(t, jose.JSONWebKey{Key: edwards, KeyID: "one"})
	symmetric := newSite(t)
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{secret}})
	require.NoError(t, err)
	symmetric["/keys"] = string(text)

	for name, c := range map[string]struct {
		site  site
		token string
	}{
		"PS256": {ofRSA, signed(t, jose.PS256, key)},
		"EdDSA": {ofEdwards, signed(t, jose.EdDSA, jose.JSONWebKey{Key: edwards, KeyID: "one"})},
		"HS256 with the public key as its secret": {ofRSA, signed(t, jose.HS256, secret)},
		"HS256 with a secret that is published":   {symmetric, signed(t, jose.HS256, secret)},
		"none":                                    {ofRSA, "eyJhbGciOiJub25lIn0." + strings.Split(signed(t, jose.RS256, key), ".")[1] + "."},
	} {
		_, err := c.site.exchange(t, c.token)
		message := requireRejection(t, err, "InvalidIdentityToken", 400)
		assert.Contains(t, message, "The ID Token provided is not a valid JWT", name)
	}
}

func TestSTSVerifyChecksPublishedDocuments(t *testing.T) {
	const document, noKey, noSignature = "/.well-known/openid-configuration", "Couldn't retrieve verification key", "The signature of the token is invalid"
	key, other := ecKey(t, "one", elliptic.P256()), ecKey(t, "one", elliptic.P256())
	good := newSite(t, key)
	keysOf := func(keys ...jose.JSONWebKey) string { return newSite(t, keys...)["/keys"] }
	for name, c := range map[string]struct {
		path, text string // text replaces the valid document at path
		message    string // AWS's message, or "" if the token is accepted
		reason     string // regular expression
	}{
		"valid documents":                    {},
		"two keys of one ID":                 {"/keys", keysOf(other, key), "", ""},
		"a key of an unsupported type":       {"/keys", strings.Replace(good["/keys"], "[", `[{"kty": "OKP", "crv": "Ed448", "x": "AA"}, `, 1), "", ""},
		"another issuer's document":          {document, strings.Replace(good[document], elsewhere, "https://other.example", 1), noKey, `^discovering the issuer: .*"https://other\.example"$`},
		"an issuer with a slash at its end":  {document, strings.Replace(good[document], elsewhere, elsewhere+"/", 1), noKey, `^discovering the issuer: .*"https://issuer\.example/"$`},
		"a document without an issuer":       {document, `{"jwks_uri": "` + elsewhere + `/keys"}`, noKey, `^discovering the issuer: .*""$`},
		"a document that is not JSON":        {document, "<html>", noKey, `^discovering the issuer: `},
		"a document with trailing data":      {document, good[document] + "}", noKey, `^discovering the issuer: `},
		"no document":                        {document, "", noKey, `^discovering the issuer: .*Not Found$`},
		"a document with a broken keys' URL": {document, strings.Replace(good[document], elsewhere+"/keys", ":", 1), noKey, `^fetching the issuer's keys: `},
		"no keys":                            {"/keys", "", noKey, `^fetching the issuer's keys: .*Not Found$`},
		"keys with trailing data":            {"/keys", good["/keys"] + "}", noKey, `^fetching the issuer's keys: `},
		"a broken key":                       {"/keys", strings.Replace(good["/keys"], "[", `[{"kty": "EC", "crv": "P-256"}, `, 1), noKey, `^reading the issuer's keys: `},
		"a key with another ID":              {"/keys", strings.Replace(good["/keys"], `"one"`, `"two"`, 1), noKey, ` does not publish the key "one"$`},
		"another key with the ID":            {"/keys", keysOf(other), noSignature, `^verifying the signature: `},
		"a key of another type with the ID":  {"/keys", keysOf(rsaKey(t, "one")), noSignature, `^verifying the signature: `},
		"a key for another algorithm":        {"/keys", strings.Replace(good["/keys"], `"kty"`, `"alg": "RSA-OAEP", "kty"`, 1), noSignature, `^verifying the signature: .* algorithm`},
	} {
		t.Run(name, func(t *testing.T) {
			s := maps.Clone(good)
			s[c.path] = c.text
			reason, err := s.exchange(t, signed(t, jose.ES256, key))
			if c.message == "" {
				require.NoError(t, err, reason)
				return
			}
			assert.Contains(t, requireRejection(t, err, "InvalidIdentityToken", 400), c.message)
			assert.Regexp(t, c.reason, reason)
		})
	}
}

func TestSTSVerifyRequiresKeyID(t *testing.T) {
	key := ecKey(t, "one", elliptic.P256())
	reason, err := newSite(t, key).exchange(t, signed(t, jose.ES256, key.Key))
	requireRejection(t, err, "InvalidIdentityToken", 400)
	assert.Contains(t, reason, `does not publish the key ""`)
}

func TestSTSVerifyRejectsClaimsWithWrongTypes(t *testing.T) {
	for name, c := range map[string]struct {
		claim  string
		value  any
		reason string
	}{
		"a subject that is a number":                             {"sub", 1, "reading the claims: "},
		"audience is a number":                                   {"aud", 1, "reading the claims: "},
		"an audience of numbers":                                 {"aud", []any{"sts.amazonaws.com", 1}, "reading the claims: "},
		"an expiry that is a word":                               {"exp", "tomorrow", "reading the claims: "},
		"a beginning that is a word":                             {"nbf", "today", "reading the claims: "},
		"an issue that is a word":                                {"iat", "today", "reading the claims: "},
		"an expiry that is a number in quotes":                   {"exp", "4102444800", "reading the claims: "},
		"a beginning that is a number in quotes":                 {"nbf", "4102444800", "reading the claims: "},
		"an issue that is a number in quotes":                    {"iat", "4102444800", "reading the claims: "},
		"a second issuer that encoding/json reads for the first": {"i\u017fs", elsewhere, `the token's issuer is "` + elsewhere + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			w := inMemory(t)
			w.pod.Rotate(irsatest.Claim(c.claim, c.value))
			_, err := w.assume(t.Context())
			message := requireRejection(t, err, "InvalidIdentityToken", 400)
			assert.Equal(t, "The signature of the token is invalid", message)
			assert.Contains(t, w.STS.Calls()[0].Reason, c.reason)
		})
	}
}

func TestSTSVerifyComparesTimesOfAnySize(t *testing.T) {
	for name, c := range map[string]struct {
		claim string
		value float64
		code  string // "" if the token is accepted
	}{
		"an expiry of 301 digits":         {"exp", 1e300, ""},
		"an expiry beyond 64 bits":        {"exp", 1e19, ""},
		"an expiry of minus 301 digits":   {"exp", -1e300, "ExpiredTokenException"},
		"a fraction of a second":          {"exp", 0.5, "ExpiredTokenException"},
		"a beginning of 301 digits":       {"nbf", 1e300, "InvalidIdentityToken"},
		"a beginning beyond 64 bits":      {"nbf", 1e19, "InvalidIdentityToken"},
		"a beginning of minus 301 digits": {"nbf", -1e300, ""},
		"an issue of minus 301 digits":    {"iat", -1e300, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := inMemory(t)
			w.pod.Rotate(irsatest.Claim(c.claim, c.value))
			_, err := w.assume(t.Context())
			if c.code == "" {
				require.NoError(t, err)
				return
			}
			requireRejection(t, err, c.code, 400)
		})
	}
}
