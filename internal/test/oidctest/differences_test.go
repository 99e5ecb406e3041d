package oidctest

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"
	"github.com/stretchr/testify/require"
)

// A difference is a reason why one of the two verifiers accepts a token that the other
// rejects.
type difference struct {
	reason  string
	accepts string // the verifier that accepts the token: irsakit or go-oidc
	applies func(token string) bool
}

const (
	irsakit = "irsakit"
	goOIDC  = "go-oidc"
)

// differences contains all differences between the verifiers.
var differences = []difference{
	{"go-oidc removes white space, and reads the JSON serialization; a JWT is compact, with characters of base64url only (RFC 7519, section 3)", goOIDC, notCompact},
	{"go-oidc tries all keys on a token that names none; the kit finds the key by its ID, which Kubernetes always writes", goOIDC, unnamedKey},
	{"STS takes tokens of 4 to 20,000 characters", goOIDC, tooLong},
	{"STS needs the claims iss, sub, aud, exp and iat", goOIDC, claimMissing},
	{"go-oidc finds claims whatever the case of their names; claims are case-sensitive (RFC 7519, section 10.1.1)", goOIDC, otherIssuer},
	{"go-oidc takes the last of two claims of one name, and passes over numbers beyond a float64; go-jose refuses both, the former by RFC 7519, section 4", goOIDC, rejectedByJOSE},
	{"go-oidc takes null for an audience in a list; an audience is a string (RFC 7519, section 4.1.3)", goOIDC, nullAudience},
	{"go-oidc also decodes nonce, at_hash, _claim_names and _claim_sources, which IAM does not use", irsakit, ofIDTokens},
	{"go-oidc refuses a time in quotes that is beyond a float64, and null under a time's name in another case; the kit takes the token for expired, or goes by the right name", irsakit, oddTime},
}

// explains reports whether the difference explains the results of the verifiers.
func (d difference) explains(token string, byIrsakit, byGoOIDC bool) bool {
	return byIrsakit == (d.accepts == irsakit) && byGoOIDC == (d.accepts == goOIDC) && d.applies(token)
}

// requireAgreement checks that the verifiers agree, except for the differences. It reports
// whether irsatest accepts the token, and returns the reason of the difference or "".
func (v verifiers) requireAgreement(t testing.TB, token string) (accepted bool, reason string) {
	t.Helper()
	byIrsakit, ours := v.irsakit(t, token)
	byGoOIDC, theirs := v.goOIDC(t, token)
	if byIrsakit == byGoOIDC {
		return byIrsakit, ""
	}
	i := slices.IndexFunc(differences, func(d difference) bool { return d.explains(token, byIrsakit, byGoOIDC) })
	require.GreaterOrEqual(t, i, 0, "%q\nirsakit: %t, %s\ngo-oidc: %t, %s", token, byIrsakit, ours, byGoOIDC, theirs)
	return byIrsakit, differences[i].reason
}

func notCompact(token string) bool {
	return strings.ContainsFunc(token, unicode.IsSpace) || strings.HasPrefix(token, "{")
}

func tooLong(token string) bool { return utf8.RuneCountInString(token) > 20000 }

func unnamedKey(token string) bool {
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512})
	return err == nil && parsed.Signatures[0].Header.KeyID == ""
}

// payload returns the decoded second part of a token.
func payload(token string) []byte {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	text, _ := base64.RawURLEncoding.DecodeString(parts[1])
	return text
}

// claims returns the claims of a token by their exact names.
func claims(token string) map[string]any {
	var out map[string]any
	_ = json.Unmarshal(payload(token), &out)
	return out
}

func claimMissing(token string) bool {
	all := claims(token)
	return slices.ContainsFunc([]string{"iss", "sub", "aud", "exp", "iat"}, func(name string) bool { return all[name] == nil })
}

func otherIssuer(token string) bool { return claims(token)["iss"] != issuerURL }

func rejectedByJOSE(token string) bool {
	return josejson.Unmarshal(payload(token), &map[string]any{}) != nil
}

func nullAudience(token string) bool {
	audiences, _ := claims(token)["aud"].([]any)
	return slices.Contains(audiences, nil)
}

func ofIDTokens(token string) bool {
	return hasClaim(token, func(name string, _ any) bool {
		return slices.ContainsFunc([]string{"nonce", "at_hash", "_claim_names", "_claim_sources"}, func(other string) bool { return strings.EqualFold(name, other) })
	})
}

func oddTime(token string) bool {
	return hasClaim(token, func(name string, value any) bool {
		_, text := value.(string)
		return (text || value == nil) && slices.ContainsFunc([]string{"exp", "iat", "nbf"}, func(other string) bool { return strings.EqualFold(name, other) })
	})
}

func hasClaim(token string, is func(name string, value any) bool) bool {
	for name, value := range claims(token) {
		if is(name, value) {
			return true
		}
	}
	return false
}
