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

	request *trustpolicy.Request // the request that STS evaluates the trust policy for; nil without a token
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
// does not match and why. It evaluates only the document and makes no requests.
func (r *Report) CheckTrustPolicy(document []byte) {
	c := r.evaluate(document)
	c.Name, c.Detail = checkTrustPolicy, oneLine(c.Detail)
	before := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Name == checkExchange })
	r.Checks = slices.Insert(r.Checks, max(before, 0), c)
}

func (r *Report) evaluate(document []byte) Check {
	policy, err := trustpolicy.Parse(document)
	switch {
	case err != nil:
		return Check{Status: CheckFailed, Detail: fmt.Sprintf("this is not a trust policy that IAM takes: %v", err), Link: headingAccessDenied.link()}
	case r.request == nil:
		return Check{Status: CheckSkipped, Detail: "there is no role, or no token, to judge it by"}
	}
	decision := policy.Evaluate(*r.request)
	switch {
	case !decision.Allowed():
		return Check{Status: CheckFailed, Detail: decision.String(), Cure: "correct what differs, in the policy or in the pod", Link: headingAccessDenied.link()}
	case r.has(checkExchange, CheckFailed):
		return Check{
			Status: CheckWarned, Detail: decision.String() + ", but the exchange failed",
			Cure: "if STS denies access, this is not the policy that the role has now: compare it with that in IAM, in the role's account",
			Link: headingAccessDenied.link(),
		}
	default:
		return Check{Status: CheckPassed, Detail: decision.String()}
	}
}
