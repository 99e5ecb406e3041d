package tokenfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/irsakit/irsakit/internal/jwt"
)

// The minimum and maximum size of a token in bytes, as documented for the
// WebIdentityToken parameter of AssumeRoleWithWebIdentity in the AWS STS API reference.
const (
	minSize = 4
	maxSize = 20000
)

// ErrMalformed is returned if a file or string is not a web identity token: it is
// empty, too short or too long for STS, or not a signed JWT.
var ErrMalformed = errors.New("not a web identity token")

const redacted = "[web identity token redacted]"

// Token is a web identity token in the form of a signed JWT. It is not verified. The
// zero Token is empty.
//
// A Token is immutable and safe for concurrent use. Formatting, logging or marshaling
// it yields a placeholder.
type Token struct {
	// The fields are pointers because fmt does not call the methods of a Token in an
	// unexported struct field. It prints the addresses instead.
	raw    *inverted
	claims *Claims
}

// inverted is a token with every bit inverted, so that reflection-based printers such
// as testify's diffs do not reveal it.
type inverted []byte

// invert inverts text in place.
func invert(text []byte) inverted {
	for i := range text {
		text[i] = ^text[i]
	}
	return text
}

// Claims contains the claims of a token. They are unverified: use them in messages and
// for diagnosis, not for decisions. Missing or malformed claims are zero.
//
// The registered claims are defined in RFC 7519, the others in the section "Schema for
// service account private claims" of "Managing Service Accounts" in the Kubernetes
// documentation.
type Claims struct {
	Issuer         string    // iss: the cluster's OIDC issuer
	Subject        string    // sub: system:serviceaccount:<namespace>:<name>
	Audience       []string  // aud: sts.amazonaws.com, in every partition
	IssuedAt       time.Time // iat
	NotBefore      time.Time // nbf
	Expiry         time.Time // exp
	Namespace      string    // kubernetes.io: the pod's namespace
	ServiceAccount string    // kubernetes.io: the service account's name
	Pod            string    // kubernetes.io: the pod's name, if the token is bound to a pod
}

// Parse parses a token that is not in a file, such as one returned by the Kubernetes
// TokenRequest API. Surrounding white space is trimmed.
//
// If text is not a signed JWT of 4 to 20,000 bytes, the error wraps [ErrMalformed].
func Parse(text string) (Token, error) { return parse([]byte(text)) }

// parse is like Parse, but the Token retains text, which the caller must not use afterward.
func parse(text []byte) (Token, error) {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) == 0:
		return Token{}, fmt.Errorf("tokenfile: %w: it is empty", ErrMalformed)
	case len(text) < minSize:
		return Token{}, fmt.Errorf("tokenfile: %w: it is shorter than %d bytes", ErrMalformed, minSize)
	case len(text) > maxSize:
		return Token{}, fmt.Errorf("tokenfile: %w: it has %d bytes; STS accepts %d to %d", ErrMalformed, len(text), minSize, maxSize)
	}
	claims, err := jwt.Parse(text)
	if err != nil {
		return Token{}, fmt.Errorf("tokenfile: %w: %w", ErrMalformed, err)
	}
	unverified := Claims(claims)
	raw := invert(text)
	return Token{raw: &raw, claims: &unverified}, nil
}

// Reveal returns the token as a string, which should be passed only to STS. For the
// zero Token, it returns an empty string.
func (t Token) Reveal() string {
	if t.raw == nil {
		return ""
	}
	var text strings.Builder
	text.Grow(len(*t.raw))
	for _, b := range *t.raw {
		text.WriteByte(^b)
	}
	return text.String()
}

// hasText reports whether text is equal to the token.
func (t Token) hasText(text []byte) bool {
	if t.raw == nil || len(*t.raw) != len(text) {
		return false
	}
	for i, b := range *t.raw {
		if text[i] != ^b {
			return false
		}
	}
	return true
}

// Claims returns the unverified claims of the token.
func (t Token) Claims() Claims {
	if t.claims == nil {
		return Claims{}
	}
	c := *t.claims
	c.Audience = append([]string(nil), c.Audience...)
	return c
}

// String implements [fmt.Stringer]. Like all other formatting and marshaling methods, it
// returns a placeholder.
func (t Token) String() string { return redacted }

// GoString implements [fmt.GoStringer].
func (t Token) GoString() string { return redacted }

// Format implements [fmt.Formatter]. It ignores the verb and its flags.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer].
func (t Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler].
func (t Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON implements [encoding/json.Marshaler].
func (t Token) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
