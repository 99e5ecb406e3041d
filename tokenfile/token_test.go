package tokenfile_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/tokenfile"
)

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// withClaims returns a token with the given claims.
func withClaims(claims string) string {
	return encode(`{"alg":"RS256","kid":"0123"}`) + "." + encode(claims) + "." + encode("made by no key: "+claims)
}

// tokenFor returns a token with the given subject.
func tokenFor(subject string) string { return withClaims(`{"sub":"` + subject + `"}`) }

// sized returns a token of size bytes.
func sized(t *testing.T, size int) string {
	t.Helper()
	for _, prefix := range []string{"e30.e30.", "eyB9.e30."} { // the length of a base64 text is never 4n+1
		if rest := size - len(prefix); rest%4 != 1 {
			return prefix + strings.Repeat("A", rest)
		}
	}
	require.FailNow(t, "no such token")
	return ""
}

// requireSilent checks that the error contains no part of the text.
func requireSilent(t *testing.T, err error, text string) {
	t.Helper()
	message := err.Error()
	for i := 0; i+8 <= len(message); i++ {
		if strings.Contains(text, message[i:i+8]) {
			require.Fail(t, "the error contains the text", "%q in %s", message[i:i+8], message)
		}
	}
}

// kubernetes contains the claims of a token issued by Kubernetes 1.37.
const kubernetes = `{
	"aud": ["sts.amazonaws.com"],
	"exp": 1767312000,
	"iat": 1767225600,
	"iss": "https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
	"jti": "5f5dbb6e-4a4c-4a4e-9d1b-0d4f6f6f9b1a",
	"kubernetes.io": {
		"namespace": "shop",
		"node": {"name": "ip-192-168-0-1.eu-central-1.compute.internal", "uid": "3b8a2a1e-7c1d-4a56-8a0e-5b1f3f0e9a11"},
		"pod": {"name": "cart-7d4b9c8f6d-x2x4z", "uid": "b1c1c8a3-2c33-4f0a-9d8e-0c7a5e6f7d22"},
		"serviceaccount": {"name": "cart", "uid": "0d9f8e7c-6b5a-4c3d-8e2f-1a0b9c8d7e33"}
	},
	"nbf": 1767225601,
	"sub": "system:serviceaccount:shop:cart"
}`

func TestTokenClaimsFromKubernetes(t *testing.T) {
	token, err := tokenfile.Parse(withClaims(kubernetes))
	require.NoError(t, err)
	assert.Equal(t, tokenfile.Claims{
		Issuer:         "https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
		Subject:        "system:serviceaccount:shop:cart",
		Audience:       []string{"sts.amazonaws.com"},
		IssuedAt:       time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		NotBefore:      time.Date(2026, 1, 1, 0, 0, 1, 0, time.UTC),
		Expiry:         time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC),
		Namespace:      "shop",
		ServiceAccount: "cart",
		Pod:            "cart-7d4b9c8f6d-x2x4z",
	}, token.Claims())
}

func TestTokenClaimsOfUnexpectedTypeAreZero(t *testing.T) {
	for _, tt := range []struct {
		name, claims string
		want         tokenfile.Claims
	}{
		{"none", `{}`, tokenfile.Claims{}},
		{"audience is a string", `{"aud":"a"}`, tokenfile.Claims{Audience: []string{"a"}}},
		{"audience is null", `{"aud":null}`, tokenfile.Claims{}},
		{"audience is a number", `{"aud":1}`, tokenfile.Claims{}},
		{"expiry is a string", `{"exp":"1767312000"}`, tokenfile.Claims{}},
		{"an expiry with a fraction", `{"exp":1767312000.5}`, tokenfile.Claims{Expiry: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)}},
		{"a huge expiry", `{"exp":1e300}`, tokenfile.Claims{}},
		{"a negative expiry", `{"exp":-1767312000}`, tokenfile.Claims{}},
		{"kubernetes.io that is no object", `{"sub":"s","kubernetes.io":"shop"}`, tokenfile.Claims{Subject: "s"}},
		{"pod is not an object", `{"kubernetes.io":{"namespace":"shop","pod":"cart"}}`, tokenfile.Claims{Namespace: "shop"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token, err := tokenfile.Parse(withClaims(tt.claims))
			require.NoError(t, err)
			assert.Equal(t, tt.want, token.Claims())
			assert.Equal(t, withClaims(tt.claims), token.Reveal())
		})
	}
}

func TestTokenClaimsReturnsCopy(t *testing.T) {
	token, err := tokenfile.Parse(withClaims(`{"aud":["a","b"]}`))
	require.NoError(t, err)
	claims := token.Claims()
	claims.Audience[0] = "changed"
	_ = append(claims.Audience[:1], "changed too")
	assert.Equal(t, []string{"a", "b"}, token.Claims().Audience)
}

func TestParseTrimsWhiteSpace(t *testing.T) {
	raw := tokenFor("s")
	for _, text := range []string{raw, raw + "\n", raw + "\r\n", "\r\n\t " + raw + " \n\n", "\u00a0" + raw + "\u2028"} {
		token, err := tokenfile.Parse(text)
		require.NoError(t, err, "%q", text)
		assert.Equal(t, raw, token.Reveal())
	}
}

func TestTokenZeroValueIsEmpty(t *testing.T) {
	assert.Empty(t, tokenfile.Token{}.Reveal())
	assert.Zero(t, tokenfile.Token{}.Claims())
}
