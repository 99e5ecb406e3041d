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

// The minimum and maximum size of a token in bytes, as documented for the parameter
// WebIdentityToken in the AssumeRoleWithWebIdentity reference of the AWS STS API.
const (
	minSize = 4
	maxSize = 20000
)

// ErrMalformed is returned for text that is not a web identity token: it is empty,
// has a size that STS does not accept, or does not have the form of a signed JWT.
var ErrMalformed = errors.New("not a web identity token")

const redacted = "[web identity token redacted]"

// Token is a web identity token that has the form of a signed JWT. It is not
// verified. The zero Token is empty.
//
// A Token is immutable and safe for concurrent use. Formatting, logging or marshaling
// it yields a placeholder.
type Token struct {
	// The fields are pointers because fmt does not call the methods of a Token in an
	// unexported field of a struct. It prints the addresses instead.
	raw    *inverted
	claims *Claims
}

// inverted is the text of a token with all bits inverted, so that packages that print values
// by reflection, such as testify's diff, do not show it.
type inverted []byte

// invert inverts text in place.
func invert(text []byte) inverted {
	for i := range text {
		text[i] = ^text[i]
	}
	return text
}

// Claims contains the claims of a token. They are unverified: use them in messages
// and for diagnosis, not for decisions. A claim that is missing or malformed is zero.
//
// RFC 7519 defines the registered claims. The Kubernetes documentation, "Managing
// Service Accounts", section "Schema for service account private claims", defines
// the others.
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

// Parse returns the Token with the given text. Use it for a token that is not in a
// file, such as one that the Kubernetes TokenRequest API returned. Parse trims
// surrounding white space.
//
// The error wraps [ErrMalformed] if the text is not a signed JWT of 4 to 20,000
// bytes.
func Parse(text string) (Token, error) { return parse([]byte(text)) }

// parse is like Parse. The Token keeps text, which the caller must not use afterward.
func parse(text []byte) (Token, error) {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) == 0:
		return Token{}, fmt.Errorf("tokenfile: %w: it is empty", ErrMalformed)
	case len(text) < minSize || len(text) > maxSize:
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

// Reveal returns the text of the token. Pass it only to STS. The text of the zero Token
// is empty.
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

// hasText reports whether the token has the given text.
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

// String returns a placeholder.
func (t Token) String() string { return redacted }

// GoString returns a placeholder.
func (t Token) GoString() string { return redacted }

// Format prints a placeholder, whatever the verb and its flags.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns a placeholder.
func (t Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a placeholder.
func (t Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns a placeholder.
func (t Token) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
