package irsa

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/irsakit/irsakit/internal/diagnose"
)

// Report contains the results of [Diagnose]. Its checks are in the order in which a pod
// obtains credentials, so fix the first failed one first. A Report contains no secrets, and
// can be printed as text or marshaled as JSON. The caller may modify it.
type Report struct {
	Checks []Check

	identity *diagnose.Identity // STS evaluates the trust policy for it; nil without a token
}

// Check is one step of a [Report]. A check fails if its finding prevents the pod from obtaining
// credentials, now or soon, or if the context of [Diagnose] ended before it. It warns about a possible
// mistake. It is skipped if it does not apply, or if an earlier check failed.
type Check struct {
	Name   string `json:"name"`             // such as "token-path"
	Status string `json:"status"`           // "passed", "failed", "warned" or "skipped"
	Detail string `json:"detail"`           // the finding, or why the check was skipped; one line
	Advice string `json:"advice,omitempty"` // how to fix it; one line
	Link   string `json:"link,omitempty"`   // the URL of a section of TROUBLESHOOTING.md
}

// Diagnose checks every step between the pod's environment and its credentials, and reports
// each of them: the settings, the role, the token file and its claims, the connection to
// STS, an exchange of the token, and the identity of the credentials. It takes the same
// options as New. Use it to find the cause of a failure: it makes three requests to STS, one
// of them without credentials, and discards the credentials that it obtains.
//
// Diagnose returns after at most 9 seconds, or when ctx is done, and reports which step
// timed out. A token source that ignores its context delays it further. Diagnose is safe for
// concurrent use.
func Diagnose(ctx context.Context, optFns ...func(*Options)) *Report {
	var opts Options
	for _, fn := range optFns {
		fn(&opts)
	}
	result := diagnose.Run(ctx, opts.config(), environment())
	report := &Report{identity: result.Identity}
	for _, c := range result.Checks {
		report.Checks = append(report.Checks, checkOf(c))
	}
	return report
}

const statusFailed = string(diagnose.Failed)

// checkOf returns the public form of a check.
func checkOf(c diagnose.Check) Check {
	return Check{Name: c.Name, Status: string(c.Status), Detail: c.Detail, Advice: c.Advice, Link: c.Link}
}

// OK reports whether no check failed.
func (r *Report) OK() bool {
	return !slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Status == statusFailed })
}

// String returns the report as text with lines of 80 columns: what failed and how to fix it, then the
// warnings, and the numbers of the other checks.
func (r *Report) String() string { return r.print(0, false) }

// Format prints the report like String. A width sets the length of lines, and %+v adds the checks that
// passed and that were skipped: fmt.Printf("%+*v", columns, report).
func (r *Report) Format(f fmt.State, verb rune) {
	width, _ := f.Width()
	_, _ = io.WriteString(f, r.print(width, verb == 'v' && f.Flag('+')))
}

func (r *Report) print(width int, all bool) string {
	checks := make([]diagnose.Check, len(r.Checks))
	for i, c := range r.Checks {
		checks[i] = diagnose.Check{Name: c.Name, Status: diagnose.Status(c.Status), Detail: c.Detail, Advice: c.Advice, Link: c.Link}
	}
	return diagnose.Print(checks, width, all)
}

// MarshalJSON returns the report as {"ok": …, "checks": […]}.
func (r *Report) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		OK     bool    `json:"ok"`
		Checks []Check `json:"checks"`
	}{r.OK(), r.Checks})
}

// CheckTrustPolicy adds a check of the role's trust policy. The document is the policy, or the
// output of this command, which contains it:
//
//	aws iam get-role --role-name $ROLE --output json
//
// The check determines whether the policy allows the token or, if not, which condition does
// not match and why. It warns about a policy that also allows unintended principals, such as
// every service account of the cluster, and about conditions that it cannot evaluate because
// the values of their keys are known only to AWS. It does not warn about a namespace-wide
// policy. If the exchange passed, the check does not fail. It evaluates only the document and
// makes no requests.
func (r *Report) CheckTrustPolicy(document []byte) {
	exchange := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Name == diagnose.NameExchange })
	var status diagnose.Status
	if exchange >= 0 {
		status = diagnose.Status(r.Checks[exchange].Status)
	}
	c := checkOf(diagnose.TrustPolicy(document, r.identity, status))
	r.Checks = slices.Insert(r.Checks, max(exchange, 0), c)
}
