package oidctest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// A verdict contains the verifiers that accept the signature and the issuer of a token.
type verdict struct{ irsakit, goOIDC bool }

var (
	both        = verdict{true, true}
	neither     = verdict{}
	onlyIrsakit = verdict{irsakit: true}
	onlyGoOIDC  = verdict{goOIDC: true}
)

// verifiers contains the two verifiers. Each performs its own discovery.
type verifiers struct {
	kit          *irsatest.Cluster
	role         *irsatest.Role
	goOIDC       *oidc.IDTokenVerifier
	undiscovered error
}

// verifiers returns verifiers for tokens of the issuer.
func (i *issuer) verifiers(t testing.TB) verifiers {
	t.Helper()
	v := verifiers{kit: irsatest.New(t)}
	client := &http.Client{Transport: http.NewFileTransportFS(i.documents)}
	registered := v.kit.ExternalIssuer(i.url, client)
	v.kit.RegisterIssuer("111122223333", registered)
	v.role = v.kit.Role("s3-writer", irsatest.Trust(registered.ServiceAccount("shop", "cart")))
	provider, err := oidc.NewProvider(oidc.ClientContext(context.Background(), client), i.url)
	if v.undiscovered = err; err == nil {
		v.goOIDC = provider.Verifier(&oidc.Config{
			SkipClientIDCheck: true, SkipExpiryCheck: true, // not part of the comparison
			SupportedSigningAlgs: []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512},
		})
	}
	return v
}

// afterVerification contains the parts of STS's responses to tokens whose signature and issuer it has accepted.
var afterVerification = []string{
	"<AssumeRoleWithWebIdentityResult>", "<Code>ExpiredTokenException</Code>", "<Code>AccessDenied</Code>",
	"<Message>The token is not yet valid</Message>", "<Message>Incorrect token audience</Message>",
}

// verify returns the verdict on a token and a text with the verifiers' answers.
func (v verifiers) verify(t testing.TB, token string) (got verdict, answers string) {
	t.Helper()
	response, err := v.kit.HTTPClient().PostForm("https://sts.us-west-2.amazonaws.com/", url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"},
		"RoleArn": {v.role.ARN()}, "RoleSessionName": {"cart"}, "WebIdentityToken": {token},
	})
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	got.irsakit = slices.ContainsFunc(afterVerification, func(part string) bool { return strings.Contains(string(text), part) })
	call := v.kit.STS.Calls()[0]
	v.kit.STS.ForgetCalls()

	err = v.undiscovered
	if err == nil {
		_, err = v.goOIDC.Verify(t.Context(), token)
	}
	got.goOIDC = err == nil
	return got, fmt.Sprintf("irsakit: %s %s\ngo-oidc: %v", call.Err, call.Reason, err)
}

// requireAgreement checks that the verifiers agree, except for the differences. It returns the
// verdict, and the reason of the difference or "".
func (v verifiers) requireAgreement(t testing.TB, token string) (got verdict, reason string) {
	t.Helper()
	got, answers := v.verify(t, token)
	if got == both || got == neither {
		return got, ""
	}
	p := parse(token)
	i := slices.IndexFunc(differences, func(d difference) bool { return d.got == got && d.applies(p) })
	require.GreaterOrEqual(t, i, 0, "%q\n%s", token, answers)
	return got, differences[i].reason
}

// A difference is a reason why only one of the verifiers accepts a token.
type difference struct {
	got     verdict
	reason  string
	applies func(parsed) bool
}

// differences contains all differences between the verifiers.
var differences = []difference{
	// A JWT is compact and contains only base64url characters (RFC 7519, section 3).
	{onlyGoOIDC, "go-oidc removes white space", func(p parsed) bool { return strings.ContainsFunc(p.text, unicode.IsSpace) }},
	{onlyGoOIDC, "go-oidc accepts the JSON serialization", func(p parsed) bool { return strings.HasPrefix(p.text, "{") }},
	// Kubernetes always writes the ID.
	{onlyGoOIDC, "go-oidc tries all keys if the token has no key ID", func(p parsed) bool { return p.keyless }},
	{onlyGoOIDC, "STS accepts tokens of 4 to 20,000 characters", func(p parsed) bool { return utf8.RuneCountInString(p.text) > 20000 }},
	{onlyGoOIDC, "STS requires the claims iss, sub, aud, exp and iat", func(p parsed) bool {
		return slices.ContainsFunc([]string{"iss", "sub", "aud", "exp", "iat"}, func(name string) bool { return p.claims[name] == nil })
	}},
	// The names are case-sensitive (RFC 7519, section 10.1.1).
	{onlyGoOIDC, "go-oidc ignores the case of claim names", func(p parsed) bool { return p.claims["iss"] != issuerURL }},
	// go-jose rejects both, the former by RFC 7519, section 4.
	{onlyGoOIDC, "go-oidc uses the last of two claims with one name, and ignores numbers beyond a float64", func(p parsed) bool {
		return josejson.Unmarshal(p.payload, &map[string]any{}) != nil
	}},
	// An audience is a string (RFC 7519, section 4.1.3).
	{onlyGoOIDC, "go-oidc accepts null in a list of audiences", func(p parsed) bool {
		audiences, _ := p.claims["aud"].([]any)
		return slices.Contains(audiences, nil)
	}},
	// IAM does not use these claims.
	{onlyIrsakit, "go-oidc also decodes nonce, at_hash, _claim_names and _claim_sources", func(p parsed) bool {
		return len(p.values("nonce", "at_hash", "_claim_names", "_claim_sources")) > 0
	}},
	// A time is a number (RFC 7519, section 2).
	{onlyGoOIDC, "go-oidc accepts a time in quotes", func(p parsed) bool {
		return slices.ContainsFunc(p.values("exp", "iat", "nbf"), func(value any) bool {
			_, text := value.(string)
			return text
		})
	}},
	// The kit uses the exact name.
	{onlyIrsakit, "go-oidc rejects null as a time whose name has another case", func(p parsed) bool {
		return slices.Contains(p.values("exp", "iat", "nbf"), nil)
	}},
}

// A parsed is a token with its decoded second part.
type parsed struct {
	text    string
	keyless bool // a valid token without a key ID
	payload []byte
	claims  map[string]any // by their exact names
}

func parse(token string) parsed {
	p := parsed{text: token}
	if parts := strings.Split(token, "."); len(parts) == 3 {
		p.payload, _ = base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(p.payload, &p.claims)
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{ // those of IAM's OIDC providers
		jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512,
	})
	p.keyless = err == nil && signed.Signatures[0].Header.KeyID == ""
	return p
}

// values returns the values of the claims that have one of the names in any case.
func (p parsed) values(names ...string) (values []any) {
	for claim, value := range p.claims {
		if slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, claim) }) {
			values = append(values, value)
		}
	}
	return values
}
