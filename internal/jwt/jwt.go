// Package jwt reads the claims of a JSON Web Token without verifying them.
//
// Use the claims for diagnosis only, for example for an error message that contains
// the subject, or for a region derived from the issuer. STS has the issuer's keys and
// verifies the token.
package jwt

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Claims contains the claims of a Kubernetes service account token. A claim is zero if it
// is missing or does not have the type that RFC 7519 or Kubernetes specifies.
type Claims struct {
	Issuer         string
	Subject        string
	Audience       []string
	IssuedAt       time.Time
	NotBefore      time.Time
	Expiry         time.Time
	Namespace      string
	ServiceAccount string
	Pod            string
}

// Parse checks that token has the form of a signed JWT (three parts of unpadded
// base64url, the first two of which are JSON objects) and returns its claims. Errors
// contain no part of the token.
func Parse(token string) (Claims, error) {
	if prefix := foreignPrefix(token); prefix != "" {
		return Claims{}, fmt.Errorf("it begins with %s", prefix)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return Claims{}, errors.New("it does not have the three parts of a signed JWT")
	}
	if _, err := object("header", parts[0]); err != nil {
		return Claims{}, err
	}
	claims, err := object("claims", parts[1])
	if err != nil {
		return Claims{}, err
	}
	if _, err := decode("signature", parts[2]); err != nil {
		return Claims{}, err
	}
	return newClaims(claims), nil
}

// foreignPrefix returns the name of what a text begins with if programs write it before a token by
// mistake, or "".
func foreignPrefix(text string) string {
	for _, p := range []struct{ prefix, name string }{
		{"\ufeff", "a byte order mark"}, {"\xff\xfe", "a byte order mark"}, {"\xfe\xff", "a byte order mark"},
		{`"`, "a quotation mark"}, {"'", "a quotation mark"}, {"{", `"{", like JSON`}, {"[", `"[", like JSON`}, {"<", `"<", like HTML or XML`},
		{"-----BEGIN", `"-----BEGIN", like a certificate`}, {"Authorization:", `"Authorization:"`}, {"b'", "b', like a literal of Python"},
	} {
		if strings.HasPrefix(text, p.prefix) {
			return p.name
		}
	}
	if scheme, _, found := strings.Cut(text, " "); found && strings.EqualFold(scheme, "Bearer") {
		return `"Bearer "`
	}
	return ""
}

func newClaims(claims map[string]json.RawMessage) Claims {
	type named struct {
		Name string `json:"name"`
	}
	kubernetes := value[map[string]json.RawMessage](claims, "kubernetes.io")
	return Claims{
		Issuer:         value[string](claims, "iss"),
		Subject:        value[string](claims, "sub"),
		Audience:       value[audience](claims, "aud"),
		IssuedAt:       value[numericDate](claims, "iat").time(),
		NotBefore:      value[numericDate](claims, "nbf").time(),
		Expiry:         value[numericDate](claims, "exp").time(),
		Namespace:      value[string](kubernetes, "namespace"),
		ServiceAccount: value[named](kubernetes, "serviceaccount").Name,
		Pod:            value[named](kubernetes, "pod").Name,
	}
}

// value returns the claim with the name. If the claim is missing or has another type,
// value returns zero and no error: only STS decides whether the token is acceptable.
func value[T any](claims map[string]json.RawMessage, name string) T {
	var v T
	if json.Unmarshal(claims[name], &v) != nil {
		var zero T
		return zero
	}
	return v
}

// audience is a string or an array of strings (RFC 7519, section 4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil && one != "" { // null leaves one empty
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// numericDate is a number of seconds since the epoch (RFC 7519, section 2).
type numericDate float64

// latest is the last second of the year 9999. RFC 3339 cannot represent later times.
const latest = 253402300799

func (d numericDate) time() time.Time {
	if d <= 0 || d > latest {
		return time.Time{}
	}
	return time.Unix(int64(d), 0).UTC()
}

func object(name, part string) (map[string]json.RawMessage, error) {
	b, err := decode(name, part)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil || fields == nil {
		return nil, fmt.Errorf("its %s part is not a JSON object", name)
	}
	return fields, nil
}

func decode(name, part string) ([]byte, error) {
	if part == "" {
		return nil, fmt.Errorf("its %s part is empty", name)
	}
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil || strings.ContainsAny(part, "\r\n") { // the decoder ignores line breaks
		return nil, fmt.Errorf("its %s part is not base64url", name)
	}
	return b, nil
}
