// Package jwt reads the claims of a JSON Web Token without verifying anything.
//
// The claims serve diagnosis only: an error message that names the token's
// subject, a region derived from its issuer. Whether a token is genuine is
// decided by STS, which knows the issuer's keys.
package jwt

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Claims are the claims of a Kubernetes service account token. A claim that is
// missing, or is not of the type that RFC 7519 or Kubernetes gives it, is zero.
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

// Parse checks that token has the shape of a signed JWT (three parts of
// unpadded base64url, the first two of them JSON objects) and returns its
// claims. An error tells what is wrong and never repeats any of the token.
func Parse(token string) (Claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return Claims{}, fmt.Errorf("it has %d parts separated by dots, a signed JWT has 3", len(parts))
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

// value is the claim of that name, or zero where it is missing or of another
// type: a token with an odd claim is still STS's to judge.
func value[T any](claims map[string]json.RawMessage, name string) T {
	var v T
	if json.Unmarshal(claims[name], &v) != nil {
		var zero T
		return zero
	}
	return v
}

// audience is one string or an array of them (RFC 7519, section 4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil && one != "" { // which null leaves empty
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// numericDate is a number of seconds since the epoch (RFC 7519, section 2).
type numericDate float64

// The last second of the year 9999: beyond it a time has no RFC 3339 form.
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
	if err != nil || strings.ContainsAny(part, "\r\n") { // which the decoder passes over
		return nil, fmt.Errorf("its %s part is not base64url", name)
	}
	return b, nil
}
