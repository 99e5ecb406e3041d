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
	{"go-oidc removes white space and accepts the JSON serialization; a JWT is compact and contains only base64url characters (RFC 7519, section 3)", goOIDC, notCompact},
	{"go-oidc tries all keys if the token has no key ID; the kit requires the ID that Kubernetes always writes", goOIDC, noKeyID},
	{"STS accepts tokens of 4 to 20,000 characters", goOIDC, tooLong},
	{"STS requires the claims iss, sub, aud, exp and iat", goOIDC, claimMissing},
	{"go-oidc ignores the case of claim names; claim names are case-sensitive (RFC 7519, section 10.1.1)", goOIDC, otherIssuer},
	{"go-oidc uses the last of two claims with one name and ignores numbers beyond a float64; go-jose rejects both, the former by RFC 7519, section 4", goOIDC, rejectedByJOSE},
	{"go-oidc accepts null in a list of audiences; an audience is a string (RFC 7519, section 4.1.3)", goOIDC, nullAudience},
	{"go-oidc also decodes nonce, at_hash, _claim_names and _claim_sources, which IAM does not use", irsakit, idTokenClaim},
	{"go-oidc rejects a quoted time beyond a float64, and null as a time whose name has another case; the kit treats the token as expired, or uses the exact name", irsakit, oddTime},
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

func noKeyID(token string) bool {
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

func idTokenClaim(token string) bool {
	return hasClaim(token, []string{"nonce", "at_hash", "_claim_names", "_claim_sources"}, func(any) bool { return true })
}

func oddTime(token string) bool {
	return hasClaim(token, []string{"exp", "iat", "nbf"}, func(value any) bool {
		_, text := value.(string)
		return text || value == nil
	})
}

// hasClaim reports whether the token has a claim with one of the names in any case, and a matching value.
func hasClaim(token string, names []string, matches func(value any) bool) bool {
	for name, value := range claims(token) {
		if matches(value) && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			return true
		}
	}
	return false
}
