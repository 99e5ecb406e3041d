package jwt_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/jwt"
)

// messages matches all error messages. They contain no part of the token.
var messages = regexp.MustCompile(`^(it does not have the three parts of a signed JWT` +
	`|it begins with ("[{[]", like JSON|"<", like HTML or XML|"Bearer "|"Authorization:"|b', like a literal of Python|"-----BEGIN", like a certificate|a byte order mark|a quotation mark|the base64 encoding of a token|text other than the token)` +
	`|its (header|claims|signature) part is (empty|not base64url|not a JSON object))$`)

// requireSilent checks that the error contains no part of the token.
func requireSilent(t *testing.T, err error, token string) {
	t.Helper()
	require.Regexp(t, messages, err.Error())
	for part := range strings.SplitSeq(token, ".") {
		if len(part) >= 8 && !strings.Contains(messages.String(), part) {
			require.NotContains(t, err.Error(), part)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, token := range []string{
		"", ".", "..", "...", "e30.e30.AA", "e30.e30.A", "e30.e30.AA==", "e30.bnVsbA.AA", "e30.e3\n0.AA", "\x00.\xff.\xfe",
		withClaims(`{"aud":["sts.amazonaws.com"],"exp":1767312000,"kubernetes.io":{"pod":{"name":"cart"}}}`),
		withClaims(`{"aud":null,"exp":1e400,"kubernetes.io":[]}`),
		withClaims(`[`),
	} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		claims, err := jwt.Parse([]byte(token))
		if err != nil {
			requireSilent(t, err, token)
			require.Zero(t, claims)
			return
		}
		parts := strings.Split(token, ".")
		require.Len(t, parts, 3)
		for _, part := range parts {
			require.Regexp(t, `\A[A-Za-z0-9_-]+\z`, part)
		}
	})
}

func FuzzClaims(f *testing.F) {
	for _, claims := range []string{
		"", "{}", "null", "[]", `"s"`, `{"iss":"i","sub":"s"}`, `{"iss":1,"sub":null}`,
		`{"aud":"a"}`, `{"aud":["a","b"]}`, `{"aud":null}`, `{"aud":[null]}`,
		`{"exp":1767312000,"iat":1.5,"nbf":-1}`, `{"exp":1e400}`, `{"exp":253402300799.9}`, `{"exp":"1"}`,
		`{"kubernetes.io":{"namespace":"shop","pod":{"name":"p"},"serviceaccount":{"name":"cart"}}}`,
		`{"kubernetes.io":[]}`, `{"kubernetes.io":{"pod":"p"}}`, "{\"sub\":\"\xff\"}",
	} {
		f.Add(claims)
	}
	f.Fuzz(func(t *testing.T, text string) {
		claims, err := jwt.Parse([]byte(withClaims(text)))
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber() // a number beyond the range of float64 is still valid JSON
		var fields map[string]any
		if decoder.Decode(&fields) != nil || fields == nil || !json.Valid([]byte(text)) {
			require.Error(t, err)
			require.Zero(t, claims)
			return
		}
		require.NoError(t, err)
		issuer, _ := fields["iss"].(string)
		require.Equal(t, issuer, claims.Issuer)
		subject, _ := fields["sub"].(string)
		require.Equal(t, subject, claims.Subject)
		exp, _ := fields["exp"].(json.Number)
		if seconds, err := exp.Float64(); err != nil || seconds <= 0 {
			require.Zero(t, claims.Expiry)
		}
		_, err = json.Marshal(claims) // fails for a time after the year 9999
		require.NoError(t, err)
	})
}
