package diagnose

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/internal/trustpolicy"
	"github.com/irsakit/irsakit/tokenfile"
)

// Identity is the web identity for which STS evaluates a trust policy.
type Identity = trustpolicy.WebIdentity

// identity returns the web identity for which STS evaluates the trust policy, or nil without a role
// or token.
func (d *diagnosis) identity() *Identity {
	f := d.facts(nil, nil)
	if f.RoleARN == "" || explain.WithoutScheme(f.Claims.Issuer) == "" {
		return nil
	}
	w := &Identity{
		Provider: f.ProviderARN(), Issuer: f.Claims.Issuer, Subject: f.Claims.Subject, Audiences: f.Claims.Audience,
		SessionName: d.exchange.SessionNameFor(d.token.Claims()),
	}
	w.SetClaims(claimsOf(*d.token))
	return w
}

// claimsOf returns all claims in a token, or nil if it is not a JWT.
func claimsOf(token tokenfile.Token) (claims map[string]any) {
	_, rest, _ := strings.Cut(token.Reveal(), ".")
	part, _, _ := strings.Cut(rest, ".")
	text, _ := base64.RawURLEncoding.DecodeString(part)
	_ = json.Unmarshal(text, &claims) // nil on failure
	return claims
}

// TrustPolicy checks that a trust policy allows identity, which may be nil, without allowing
// unintended principals. exchange is the status of the exchange.
func TrustPolicy(document []byte, identity *Identity, exchange Status) Check {
	c := evaluate(document, identity, exchange)
	c.Name, c.Detail, c.Advice = nameTrustPolicy, explain.OneLine(c.Detail), explain.OneLine(c.Advice)
	if c.Status == Failed || c.Status == Warned {
		c.Link = explain.HeadingAccessDenied.Link()
	}
	return c
}

// otherPolicy is the advice if the decision of STS contradicts the policy.
const otherPolicy = "this is not the role's current trust policy: compare it with the one in IAM, in the role's account"

// otherDocument is the advice if the document is not a trust policy.
const otherDocument = "correct the document, or check the policy that the role has: aws iam get-role --role-name $ROLE --output json"

// policyIn extracts the trust policy from the output of aws iam get-role. It returns any other
// input unchanged.
func policyIn(text []byte) []byte {
	var output struct {
		Role struct{ AssumeRolePolicyDocument json.RawMessage }
	}
	if json.Unmarshal(text, &output) != nil || len(output.Role.AssumeRolePolicyDocument) == 0 {
		return text
	}
	return output.Role.AssumeRolePolicyDocument
}

func evaluate(document []byte, identity *Identity, exchange Status) Check {
	policy, err := trustpolicy.Parse(policyIn(document))
	passed := exchange == Passed
	reason := strings.TrimPrefix(fmt.Sprint(err), "trustpolicy: ")
	switch {
	case errors.Is(err, trustpolicy.ErrUnsupported):
		return Check{Status: Warned, Detail: "the policy cannot be evaluated: " + reason, Advice: "check it manually"}
	case err != nil && passed:
		return Check{Status: Warned, Detail: "IAM would reject this trust policy: " + reason, Advice: otherPolicy}
	case err != nil:
		return Check{Status: Failed, Detail: "IAM would reject this trust policy: " + reason, Advice: otherDocument}
	case identity == nil:
		return Check{Status: Skipped, Detail: "no role or no token to evaluate it for"}
	}
	review := policy.Review(*identity)
	detail := review.String()
	switch {
	case review.Decision.Verdict == trustpolicy.Denied && passed:
		return Check{Status: Warned, Detail: detail + ", but the exchange passed", Advice: otherPolicy}
	case review.Decision.Verdict == trustpolicy.Denied:
		return Check{Status: Failed, Detail: detail, Advice: deniedAdvice(review.Decision)}
	case review.Decision.Allowed() && exchange == Failed:
		return Check{Status: Warned, Detail: detail + ", but the exchange failed", Advice: "if STS denies access, " + otherPolicy}
	case review.Decision.Allowed() && !review.TooBroad():
		return Check{Status: Passed, Detail: detail}
	default:
		return Check{Status: Warned, Detail: detail, Advice: review.Advice()}
	}
}

// deniedAdvice returns the advice for a policy that denies the web identity.
func deniedAdvice(d trustpolicy.Decision) string {
	const change = "change the trust policy to allow this service account"
	switch {
	case d.Explicit():
		return "change the Deny statement so that it does not apply to this service account"
	case d.OnlySubject():
		return change + ", or run the pod with the service account that it allows"
	default:
		return change
	}
}
