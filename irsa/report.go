package irsa

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

// Report contains the results of [Diagnose]. Its checks are in the order in which a pod
// obtains credentials, so fix the first failed one first. A Report contains no secrets, and
// can be printed as text or marshaled as JSON. The caller may modify it.
type Report struct {
	Checks []Check

	identity *trustpolicy.WebIdentity // STS evaluates the trust policy for it; nil without a token
}

// Check is one step of a [Report].
type Check struct {
	Name   string      `json:"name"`           // such as "token-path"
	Status CheckStatus `json:"status"`         // the result
	Detail string      `json:"detail"`         // the finding, or why the check was skipped; one line
	Cure   string      `json:"cure,omitempty"` // advice on how to fix it; one line
	Link   string      `json:"link,omitempty"` // the URL of a section of TROUBLESHOOTING.md
}

// CheckStatus is the result of a [Check].
type CheckStatus string

// The results of checks.
const (
	CheckPassed  CheckStatus = "passed"
	CheckFailed  CheckStatus = "failed"  // it prevents credentials now, or will soon
	CheckWarned  CheckStatus = "warned"  // it may be a mistake
	CheckSkipped CheckStatus = "skipped" // it does not apply, or an earlier check failed
)

// OK reports whether no check failed.
func (r *Report) OK() bool { return r.firstFailed() < 0 }

func (r *Report) firstFailed() int {
	return slices.IndexFunc(r.Checks, func(c Check) bool { return c.Status == CheckFailed })
}

// has reports whether the report has a check of this name and status.
func (r *Report) has(name string, status CheckStatus) bool {
	return slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Name == name && c.Status == status })
}

// String returns the report as text: one line for each check, followed by its advice and
// link if any, and a summary that names the first failed check.
func (r *Report) String() string {
	var b strings.Builder
	width, failed := 0, 0
	for _, c := range r.Checks {
		width = max(width, len(c.Name))
		if c.Status == CheckFailed {
			failed++
		}
	}
	for _, c := range r.Checks {
		status := string(c.Status)
		if c.Status == CheckFailed {
			status = strings.ToUpper(status)
		}
		fmt.Fprintf(&b, "%-7s  %-*s  %s\n", status, width, c.Name, c.Detail)
		if c.Cure != "" {
			fmt.Fprintf(&b, "%*s  do: %s\n", width+9, "", c.Cure)
		}
		if c.Link != "" {
			fmt.Fprintf(&b, "%*s  see %s\n", width+9, "", c.Link)
		}
	}
	first := r.firstFailed()
	if first < 0 {
		b.WriteString("\nNo check failed.\n")
		return b.String()
	}
	fmt.Fprintf(&b, "\n%d of %d checks failed. Begin with %s.\n", failed, len(r.Checks), r.Checks[first].Name)
	return b.String()
}

// MarshalJSON returns the report as {"ok": …, "checks": […]}.
func (r *Report) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		OK     bool    `json:"ok"`
		Checks []Check `json:"checks"`
	}{r.OK(), r.Checks})
}

// CheckTrustPolicy adds a check of the role's trust policy. The document is in the format
// that this command prints:
//
//	aws iam get-role --role-name $ROLE --query Role.AssumeRolePolicyDocument
//
// The check determines whether the policy allows the token or, if not, which condition
// does not match and why. It warns about a policy that also allows strangers, such as every
// service account of the cluster, and about conditions that it cannot judge, because only AWS
// knows their keys. A namespace-wide policy is not a warning. If the exchange passed, the check
// does not fail. It evaluates only the document and makes no requests.
func (r *Report) CheckTrustPolicy(document []byte) {
	c := r.evaluate(document)
	c.Name, c.Detail, c.Cure = checkTrustPolicy, oneLine(c.Detail), oneLine(c.Cure)
	if c.Status == CheckFailed || c.Status == CheckWarned {
		c.Link = headingAccessDenied.link()
	}
	before := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Name == checkExchange })
	r.Checks = slices.Insert(r.Checks, max(before, 0), c)
}

// otherPolicy is the advice if STS does not decide as the policy does.
const otherPolicy = "this is not the policy that the role has now: compare it with that in IAM, in the role's account"

func (r *Report) evaluate(document []byte) Check {
	policy, err := trustpolicy.Parse(document)
	passed := r.has(checkExchange, CheckPassed)
	switch {
	case err != nil && passed:
		return Check{Status: CheckWarned, Detail: fmt.Sprintf("this is not a trust policy that IAM takes: %v", err), Cure: otherPolicy}
	case err != nil:
		return Check{Status: CheckFailed, Detail: fmt.Sprintf("this is not a trust policy that IAM takes: %v", err)}
	case r.identity == nil:
		return Check{Status: CheckSkipped, Detail: "there is no role, or no token, to judge it by"}
	}
	review := policy.Review(*r.identity)
	detail := review.String()
	switch {
	case review.Decision.Verdict == trustpolicy.Denied && passed:
		return Check{Status: CheckWarned, Detail: detail + ", but the exchange passed", Cure: otherPolicy}
	case review.Decision.Verdict == trustpolicy.Denied:
		return Check{Status: CheckFailed, Detail: detail, Cure: "correct what differs, in the policy or in the pod"}
	case review.Decision.Allowed() && r.has(checkExchange, CheckFailed):
		return Check{Status: CheckWarned, Detail: detail + ", but the exchange failed", Cure: "if STS denies access, " + otherPolicy}
	case review.Decision.Allowed() && !review.TooBroad():
		return Check{Status: CheckPassed, Detail: detail}
	default:
		return Check{Status: CheckWarned, Detail: detail, Cure: review.Advice()}
	}
}
