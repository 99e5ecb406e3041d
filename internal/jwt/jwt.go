// Package jwt reads the claims of a JSON Web Token without verifying them.
//
// Use the claims only for diagnosis, for example to include the subject in an error message
// or to derive a region from the issuer. STS has the issuer's keys and verifies the token.
package jwt

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Claims contains the claims of a Kubernetes service account token. A claim is zero if it
// is missing or does not have the type specified by RFC 7519 or Kubernetes.
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
// base64url, the first two of which are JSON objects) and returns its claims. The text of
// an error describes the token, as in "its header part is empty", and contains no part of it.
func Parse(token []byte) (Claims, error) {
	if prefix := foreignPrefix(token); prefix != "" {
		return Claims{}, fmt.Errorf("it begins with %s", prefix)
	}
	parts := bytes.Split(token, []byte("."))
	if len(parts) != 3 {
		return Claims{}, errors.New("it does not have the three parts of a signed JWT")
	}
	decoded := make([]byte, 0, base64.RawURLEncoding.DecodedLen(max(len(parts[0]), len(parts[1]), len(parts[2]))))
	if _, err := object("header", parts[0], decoded); err != nil {
		return Claims{}, err
	}
	if _, err := decode("signature", parts[2], decoded); err != nil {
		return Claims{}, err
	}
	text, err := object("claims", parts[1], decoded)
	if err != nil {
		return Claims{}, err
	}
	var claims map[string]json.RawMessage
	_ = json.Unmarshal(text, &claims) // cannot fail: it is a valid object
	return newClaims(claims), nil
}

// Algorithm returns the signature algorithm in the header of token, or "" if there is none.
func Algorithm(token []byte) string {
	part, _, _ := bytes.Cut(token, []byte("."))
	text, err := object("header", part, nil)
	if err != nil {
		return ""
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	_ = json.Unmarshal(text, &header) // leaves the field empty if it is not a string
	return header.Algorithm
}

// maxSearched limits how many bytes are searched for a token. Tokens are several times smaller.
const maxSearched = 64 << 10

// minToken is the minimum length of a JWT that names an algorithm, as RFC 7515 requires.
const minToken = len("eyJhbGciOiIifQ.e30.AA")

// ContainsToken reports whether a word of text has the form of a signed JWT. It searches the first
// 64 KiB.
func ContainsToken(text string) bool {
	for word := range strings.FieldsFuncSeq(text[:min(len(text), maxSearched)], func(r rune) bool { return !IsTokenRune(r) }) {
		if len(word) < minToken || strings.Count(word, ".") != 2 {
			continue
		}
		if _, err := Parse([]byte(word)); err == nil {
			return true
		}
	}
	return false
}

// IsTokenRune reports whether r can be part of a JWT.
func IsTokenRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
}

// foreignPrefix describes a prefix that programs mistakenly write before a token. It returns "" if
// text has no such prefix.
func foreignPrefix(text []byte) string {
	for _, p := range []struct{ prefix, name string }{
		{"\ufeff", "a byte order mark"}, {"\xff\xfe", "a byte order mark"}, {"\xfe\xff", "a byte order mark"},
		{`"`, "a quotation mark"}, {"'", "a quotation mark"}, {"{", `"{", like JSON`}, {"[", `"[", like JSON`}, {"<", `"<", like HTML or XML`},
		{"-----BEGIN", `"-----BEGIN", like a certificate`}, {"Authorization:", `"Authorization:"`}, {"b'", "b', like a literal of Python"},
		{"ZXlK", "the base64 encoding of a token"}, // as in a Kubernetes Secret
	} {
		if bytes.HasPrefix(text, []byte(p.prefix)) {
			return p.name
		}
	}
	if scheme, _, found := bytes.Cut(text, []byte(" ")); found && bytes.EqualFold(scheme, []byte("Bearer")) {
		return `"Bearer "`
	}
	if before, _, found := bytes.Cut(text, []byte("eyJ")); found && bytes.ContainsAny(before, "=:") { // as in TOKEN=eyJ...
		return "text other than the token"
	}
	return ""
}

func newClaims(claims map[string]json.RawMessage) Claims {
	var kubernetes struct {
		Namespace      string
		ServiceAccount struct{ Name string }
		Pod            struct{ Name string }
	}
	_ = json.Unmarshal(claims["kubernetes.io"], &kubernetes) // sets the fields that have the right type
	return Claims{
		Issuer:         text(claims["iss"]),
		Subject:        text(claims["sub"]),
		Audience:       audience(claims["aud"]),
		IssuedAt:       date(claims["iat"]),
		NotBefore:      date(claims["nbf"]),
		Expiry:         date(claims["exp"]),
		Namespace:      kubernetes.Namespace,
		ServiceAccount: kubernetes.ServiceAccount.Name,
		Pod:            kubernetes.Pod.Name,
	}
}

// A claim that is missing or has the wrong type is zero rather than an error, because only STS
// decides whether the token is acceptable.

func text(claim json.RawMessage) (s string) {
	if len(claim) < 2 || claim[0] != '"' || claim[len(claim)-1] != '"' {
		return ""
	}
	if quoted := claim[1 : len(claim)-1]; utf8.Valid(quoted) && !bytes.Contains(quoted, []byte(`\`)) {
		return string(quoted) // fast path: nothing to unescape
	}
	_ = json.Unmarshal(claim, &s) // cannot fail: the claims are JSON
	return s
}

// audience returns the strings of a claim that is a string or an array of strings (RFC 7519, section
// 4.1.3).
func audience(claim json.RawMessage) (all []string) {
	one := claim
	if bytes.HasPrefix(claim, []byte("[")) && bytes.Count(claim, []byte(`"`)) == 2 { // at most one string
		one = bytes.TrimSpace(claim[1 : len(claim)-1])
	}
	if value := text(one); value != "" {
		return []string{value}
	}
	if json.Unmarshal(claim, &all) != nil {
		return nil
	}
	return all
}

// latest is the last second of the year 9999. RFC 3339 cannot represent later times.
const latest = 253402300799

// date returns the time of a claim that is a number of seconds since the epoch (RFC 7519, section 2).
func date(claim json.RawMessage) time.Time {
	if len(claim) == 0 {
		return time.Time{}
	}
	seconds, err := strconv.ParseFloat(string(claim), 64)
	if err != nil || seconds <= 0 || seconds > latest {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}

// object decodes a part of a token, which must be a JSON object. It uses buffer for the result.
func object(name string, part, buffer []byte) ([]byte, error) {
	b, err := decode(name, part, buffer)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) || !json.Valid(b) {
		return nil, fmt.Errorf("its %s part is not a JSON object", name)
	}
	return b, nil
}

func decode(name string, part, buffer []byte) ([]byte, error) {
	if len(part) == 0 {
		return nil, fmt.Errorf("its %s part is empty", name)
	}
	b, err := base64.RawURLEncoding.AppendDecode(buffer, part)
	if err != nil || bytes.ContainsAny(part, "\r\n") { // the decoder ignores line breaks
		return nil, fmt.Errorf("its %s part is not base64url", name)
	}
	return b, nil
}
