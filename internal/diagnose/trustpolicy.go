package diagnose

import (
	"fmt"

	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/internal/trustpolicy"
)

// Request is the request that STS evaluates a trust policy for.
type Request = trustpolicy.Request

// request returns the request that STS evaluates a trust policy for, or nil without a role or
// a token.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
func (d *diagnosis) request() *Request {
	f := d.facts(nil, nil)
	issuer := explain.WithoutScheme(f.Claims.Issuer)
	if f.RoleARN == "" || issuer == "" {
		return nil
	}
	return &trustpolicy.Request{
		Action:    "sts:AssumeRoleWithWebIdentity",
		Principal: trustpolicy.Principal{Federated: f.ProviderARN()},
		Context: map[string][]string{
			issuer + ":sub":       {f.Claims.Subject},
			issuer + ":aud":       f.Claims.Audience,
			"sts:RoleSessionName": {d.exchange.SessionNameFor(d.token.Claims())},
		},
	}
}

// TrustPolicy checks whether a trust policy allows a request, which is nil if it is unknown. denied
// reports whether the exchange failed.
func TrustPolicy(document []byte, request *Request, denied bool) Check {
	c := evaluate(document, request, denied)
	c.Name, c.Detail = nameTrustPolicy, explain.OneLine(c.Detail)
	return c
}

func evaluate(document []byte, request *Request, denied bool) Check {
	policy, err := trustpolicy.Parse(document)
	switch {
	case err != nil:
		return Check{Status: Failed, Detail: fmt.Sprintf("this is not a trust policy that IAM takes: %v", err), Link: explain.HeadingAccessDenied.Link()}
	case request == nil:
		return Check{Status: Skipped, Detail: "there is no role, or no token, to judge it by"}
	}
	decision := policy.Evaluate(*request)
	switch {
	case !decision.Allowed:
		return Check{Status: Failed, Detail: decision.String(), Advice: "correct what differs, in the policy or in the pod", Link: explain.HeadingAccessDenied.Link()}
	case denied:
		return Check{
			Status: Warned, Detail: decision.String() + ", but the exchange failed",
			Advice: "if STS denies access, this is not the policy that the role has now: compare it with that in IAM, in the role's account",
			Link:   explain.HeadingAccessDenied.Link(),
		}
	default:
		return Check{Status: Passed, Detail: decision.String()}
	}
}
