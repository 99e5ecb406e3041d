package irsa

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

// Report is what [Diagnose] found: its checks, in the order in which things can go
// wrong. Of several that failed the first is the one to cure first. It holds no secret,
// prints itself as text and as JSON, and belongs to its caller.
type Report struct {
	Checks []Check

	asked *trustpolicy.Request // what STS asks the trust policy; nil where there is no token
}

// Check is one step of a [Report].
type Check struct {
	Name   string      `json:"name"`   // such as "token-path"
	Status CheckStatus `json:"status"` // what came of it
	Detail string      `json:"detail"` // what was found, or why it was skipped; one line
	Cure   string      `json:"cure,omitempty"`
	Link   string      `json:"link,omitempty"` // to the heading of TROUBLESHOOTING.md
}

// CheckStatus is what came of a [Check].
type CheckStatus string

// What comes of checks.
const (
	CheckPassed  CheckStatus = "passed"
	CheckFailed  CheckStatus = "failed"  // there are no credentials because of it, or there soon will be none
	CheckWarned  CheckStatus = "warned"  // it may be a mistake
	CheckSkipped CheckStatus = "skipped" // it does not apply, or an earlier check failed
)

// OK says whether no check failed.
func (r *Report) OK() bool { return r.firstFailed() < 0 }

func (r *Report) firstFailed() int {
	return slices.IndexFunc(r.Checks, func(c Check) bool { return c.Status == CheckFailed })
}

// has says whether the check of that name has that status.
func (r *Report) has(name string, status CheckStatus) bool {
	return slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Name == name && c.Status == status })
}

// String returns the report as text: a line for each check, with what to do about it
// beneath, and at the end the first cause.
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

// CheckTrustPolicy adds a check of the role's trust policy, such as
//
//	aws iam get-role --role-name $ROLE --query Role.AssumeRolePolicyDocument
//
// prints it: whether it allows the token, or which condition does not, and why. It
// judges that document only and asks nobody.
func (r *Report) CheckTrustPolicy(document []byte) {
	c := r.judge(document)
	c.Name, c.Detail = checkTrustPolicy, oneLine(c.Detail)
	before := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Name == checkExchange })
	r.Checks = slices.Insert(r.Checks, max(before, 0), c)
}

func (r *Report) judge(document []byte) Check {
	policy, err := trustpolicy.Parse(document)
	switch {
	case err != nil:
		return Check{Status: CheckFailed, Detail: fmt.Sprintf("this is not a trust policy that IAM takes: %v", err), Link: headingAccessDenied.link()}
	case r.asked == nil:
		return Check{Status: CheckSkipped, Detail: "there is no role, or no token, to judge it by"}
	}
	decision := policy.Evaluate(*r.asked)
	switch {
	case !decision.Allowed:
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
