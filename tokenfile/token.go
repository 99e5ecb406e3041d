package tokenfile

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/irsakit/irsakit/internal/jwt"
)

// The size that STS accepts, in bytes: the parameter WebIdentityToken in the
// AssumeRoleWithWebIdentity reference of the AWS STS API.
const (
	minSize = 4
	maxSize = 20000
)

// ErrMalformed is the error of a text that is not a web identity token: it is
// empty, of a size that STS does not take, or has not the shape of a signed JWT.
var ErrMalformed = errors.New("not a web identity token")

const redacted = "[web identity token redacted]"

// Token is a web identity token that has the shape of a signed JWT. Nothing of it
// is verified. The zero Token is empty.
//
// It is immutable and safe for concurrent use. It redacts itself: every verb,
// logger and marshaller gets a placeholder.
type Token struct {
	// Pointers, since fmt prints the unexported fields of other people's structs without
	// asking for their methods.
	raw    *inverted
	claims *Claims
}

// inverted is the text of a token with all its bits inverted, so that what prints values by
// reflection, such as testify's diff, does not show it.
type inverted []byte

func invert(text string) inverted {
	out := inverted(text)
	for i := range out {
		out[i] = ^out[i]
	}
	return out
}

// Claims are what a token says of itself, unverified: they serve messages and
// diagnosis, and decide nothing. A claim that is missing or malformed is zero.
//
// The names are those of RFC 7519 and of the Kubernetes documentation, "Managing
// Service Accounts", section "Schema for service account private claims".
type Claims struct {
	Issuer         string    // iss: the cluster's OIDC issuer
	Subject        string    // sub: system:serviceaccount:<namespace>:<name>
	Audience       []string  // aud: sts.amazonaws.com, in every partition
	IssuedAt       time.Time // iat
	NotBefore      time.Time // nbf
	Expiry         time.Time // exp
	Namespace      string    // kubernetes.io: the pod's namespace
	ServiceAccount string    // kubernetes.io: the service account's name
	Pod            string    // kubernetes.io: the pod's name, where the token is bound to one
}

// Parse makes a Token of a text from elsewhere than a file, such as the reply of
// the Kubernetes TokenRequest API. Surrounding white space is cut off.
//
// It returns an error that wraps [ErrMalformed] where the text is not 4 to 20,000
// bytes of a signed JWT.
func Parse(text string) (Token, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return Token{}, fmt.Errorf("tokenfile: %w: it is empty", ErrMalformed)
	case len(text) < minSize || len(text) > maxSize:
		return Token{}, fmt.Errorf("tokenfile: %w: it has %d bytes, STS takes %d to %d", ErrMalformed, len(text), minSize, maxSize)
	}
	claims, err := jwt.Parse(text)
	if err != nil {
		return Token{}, fmt.Errorf("tokenfile: %w: %w", ErrMalformed, err)
	}
	known := Claims(claims)
	raw := invert(text)
	return Token{raw: &raw, claims: &known}, nil
}

// Reveal returns the token's text, for the request to STS and for nothing else.
// The zero Token's is empty.
func (t Token) Reveal() string {
	if t.raw == nil {
		return ""
	}
	return string(invert(string(*t.raw)))
}

// Claims returns what the token says of itself, unverified.
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
