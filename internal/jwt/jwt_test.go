package jwt_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/jwt"
)

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func unix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// withClaims returns a token with the given claims.
func withClaims(claims string) string {
	return encode(`{"alg":"RS256","kid":"k1"}`) + "." + encode(claims) + "." + encode("a signature")
}

func TestParseReturnsKubernetesClaims(t *testing.T) {
	got, err := jwt.Parse([]byte(withClaims(`{
		"aud": ["sts.amazonaws.com"],
		"exp": 1767312000,
		"iat": 1767225600,
		"iss": "https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF",
		"jti": "5f5dbb6e-4a4c-4a4e-9d1b-0d4f6f6f9b1a",
		"kubernetes.io": {
			"namespace": "shop",
			"node": {"name": "ip-192-168-0-1", "uid": "u1"},
			"pod": {"name": "cart-7d4b9-x2x4z", "uid": "u2"},
			"serviceaccount": {"name": "cart", "uid": "u3"}
		},
		"nbf": 1767225601,
		"sub": "system:serviceaccount:shop:cart"
	}`)))
	require.NoError(t, err)
	assert.Equal(t, jwt.Claims{
		Issuer:         "https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF",
		Subject:        "system:serviceaccount:shop:cart",
		Audience:       []string{"sts.amazonaws.com"},
		IssuedAt:       unix(1767225600),
		NotBefore:      unix(1767225601),
		Expiry:         unix(1767312000),
		Namespace:      "shop",
		ServiceAccount: "cart",
		Pod:            "cart-7d4b9-x2x4z",
	}, got)
}

func TestParseIgnoresClaimsOfUnexpectedType(t *testing.T) {
	for _, tt := range []struct {
		name, claims string
		want         jwt.Claims
	}{
		{"no claims", `{}`, jwt.Claims{}},
		{"white space around", " \n{\"sub\":\"s\"}\t", jwt.Claims{Subject: "s"}},
		{"an issuer that is a number", `{"iss":1,"sub":"s"}`, jwt.Claims{Subject: "s"}},
		{"a subject that is null", `{"iss":"i","sub":null}`, jwt.Claims{Issuer: "i"}},
		{"a subject that is an array", `{"iss":"i","sub":["s"]}`, jwt.Claims{Issuer: "i"}},
		{"names in capitals", `{"ISS":"i","Sub":"s"}`, jwt.Claims{}},
		{"audience is a string", `{"aud":"a"}`, jwt.Claims{Audience: []string{"a"}}},
		{"two audiences", `{"aud":["a","b"]}`, jwt.Claims{Audience: []string{"a", "b"}}},
		{"no audience in an array", `{"aud":[]}`, jwt.Claims{Audience: []string{}}},
		{"audience is null", `{"aud":null}`, jwt.Claims{}},
		{"an audience that is empty", `{"aud":""}`, jwt.Claims{}},
		{"an audience that is an object", `{"aud":{"a":"b"}}`, jwt.Claims{}},
		{"audiences that are not all strings", `{"aud":["a",1]}`, jwt.Claims{}},
		{"expiry is a string", `{"exp":"1767312000"}`, jwt.Claims{}},
		{"an expiry with a fraction", `{"exp":1767312000.9}`, jwt.Claims{Expiry: unix(1767312000)}},
		{"an expiry with an exponent", `{"exp":1.767312e9}`, jwt.Claims{Expiry: unix(1767312000)}},
		{"an expiry of zero", `{"exp":0}`, jwt.Claims{}},
		{"a negative expiry", `{"exp":-1}`, jwt.Claims{}},
		{"an expiry in the last second of 9999", `{"exp":253402300799}`, jwt.Claims{Expiry: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}},
		{"an expiry in the year 10000", `{"exp":253402300800}`, jwt.Claims{}},
		{"an expiry beyond an int64", `{"exp":1e30,"iat":2,"nbf":3}`, jwt.Claims{IssuedAt: unix(2), NotBefore: unix(3)}},
		{"an expiry beyond a float64", `{"exp":1e400}`, jwt.Claims{}},
		{"an expiry that is true", `{"exp":true}`, jwt.Claims{}},
		{"an expiry that is null", `{"exp":null}`, jwt.Claims{}},
		{"kubernetes.io that is a string", `{"kubernetes.io":"shop"}`, jwt.Claims{}},
		{"kubernetes.io that is an array", `{"kubernetes.io":[{"namespace":"shop"}]}`, jwt.Claims{}},
		{"kubernetes.io that is null", `{"kubernetes.io":null}`, jwt.Claims{}},
		{"a pod that is a string", `{"kubernetes.io":{"namespace":"shop","pod":"cart"}}`, jwt.Claims{Namespace: "shop"}},
		{"a pod whose name is a number", `{"kubernetes.io":{"pod":{"name":7},"serviceaccount":{"name":"cart"}}}`, jwt.Claims{ServiceAccount: "cart"}},
		{"a token that is bound to no pod", `{"kubernetes.io":{"namespace":"shop","serviceaccount":{"name":"cart"}}}`, jwt.Claims{Namespace: "shop", ServiceAccount: "cart"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := jwt.Parse([]byte(withClaims(tt.claims)))
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestParseRejectsMalformedJWT(t *testing.T) {
	header, claims, signature := encode(`{"alg":"RS256"}`), encode(`{"sub":"s"}`), encode("a signature")
	for _, tt := range []struct{ name, token, want string }{
		{"nothing", "", "it does not have the three parts of a signed JWT"},
		{"one part", header, "the three parts of a signed JWT"},
		{"two parts", header + "." + claims, "the three parts of a signed JWT"},
		{"four parts", header + "." + claims + "." + signature + "." + signature, "the three parts of a signed JWT"},
		{"five parts: an encrypted JWT", strings.Repeat(header+".", 4) + header, "the three parts of a signed JWT"},
		{"an empty header", "." + claims + "." + signature, "its header part is empty"},
		{"empty claims", header + ".." + signature, "its claims part is empty"},
		{"an empty signature: an unsigned JWT", header + "." + claims + ".", "its signature part is empty"},
		{"a header that is not base64", "!!!!." + claims + "." + signature, "its header part is not base64url"},
		{"claims that are not base64", header + ".#." + signature, "its claims part is not base64url"},
		{"a signature cut after one character of four", header + "." + claims + ".AAAAA", "its signature part is not base64url"},
		{"a signature in the other base64 alphabet", header + "." + claims + ".+/+/", "its signature part is not base64url"},
		{"padding", header + "." + claims + ".QQ==", "its signature part is not base64url"},
		{"a line feed in the header", header[:4] + "\n" + header[4:] + "." + claims + "." + signature, "its header part is not base64url"},
		{"a carriage return in the claims", header + "." + claims[:4] + "\r" + claims[4:] + "." + signature, "its claims part is not base64url"},
		{"a line feed after the signature", header + "." + claims + "." + signature + "\n", "its signature part is not base64url"},
		{"white space in front", " " + header + "." + claims + "." + signature, "its header part is not base64url"},
		{"a variable in front", "TOKEN=" + header + "." + claims + "." + signature, "it begins with text other than the token"},
		{"a field in front", "token:      " + header + "." + claims + "." + signature, "it begins with text other than the token"},
		{"header is not JSON", encode("header") + "." + claims + "." + signature, "its header part is not a JSON object"},
		{"claims that are not JSON", header + "." + encode("claims") + "." + signature, "its claims part is not a JSON object"},
		{"claims that are null", header + "." + encode("null") + "." + signature, "its claims part is not a JSON object"},
		{"claims that are an array", header + "." + encode("[]") + "." + signature, "its claims part is not a JSON object"},
		{"claims that are a string", header + "." + encode(`"s"`) + "." + signature, "its claims part is not a JSON object"},
		{"half of the claims", header + "." + encode(`{"sub":`) + "." + signature, "its claims part is not a JSON object"},
		{"claims with more behind them", header + "." + encode(`{} {}`) + "." + signature, "its claims part is not a JSON object"},
		{"claims nested too deeply", header + "." + encode(`{"a":`+strings.Repeat("[", 20000)) + "." + signature, "its claims part is not a JSON object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := jwt.Parse([]byte(tt.token))
			require.ErrorContains(t, err, tt.want)
			assert.Zero(t, got)
			requireSilent(t, err, tt.token)
		})
	}
}

func TestAlgorithmOfHeader(t *testing.T) {
	for header, want := range map[string]string{`{"alg":"RS256"}`: "RS256", `{"alg":1}`: "", `{"kid":"k"}`: "", `[]`: "", ``: ""} {
		assert.Equal(t, want, jwt.Algorithm([]byte(encode(header)+".e30.c2ln")), header)
	}
	assert.Empty(t, jwt.Algorithm(nil))
}

func TestContainsTokenFindsTokensInWords(t *testing.T) {
	token := withClaims(`{"sub":"s"}`)
	for text, want := range map[string]bool{
		token: true, "Bearer " + token + "\n": true, "/var/run/" + token: true, "token=" + token: true,
		encode(`{"alg":""}`) + "." + encode("{}") + ".AA": true, encode("\n{ \"alg\":\"RS256\"}") + "." + encode("{}") + ".AA": true,
		"": false, "us-west-2": false, "sts.us-west-2.amazonaws.com": false, "a.b.c": false,
		token[:len(token)/2]: false, token + ".AA": false, token + "+": true,
		strings.Repeat(" ", 32<<10) + token: true, strings.Repeat(" ", 64<<10) + token: false,
	} {
		assert.Equal(t, want, jwt.ContainsToken(text), text)
	}
}
