package irsa

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/irsakit/irsakit/internal/diagnose"
)

// Report is the result of [Diagnose]. Its checks are in the order in which a pod obtains credentials,
// so start with the first failure. A Report contains no secrets. It can be printed as text or
// marshaled as JSON, and the caller may modify it.
type Report struct {
	Checks []Check

	identity *diagnose.Identity // the identity that the trust policy is evaluated for; nil without a token
}

// Check is one step of a [Report]. It fails if it finds a problem that prevents the pod from obtaining
// credentials, now or soon, or if the context of [Diagnose] is done before it completes. It warns
// about possible mistakes, and is skipped if it does not apply or an earlier check failed.
type Check struct {
	Name   string `json:"name"`             // such as "token-path"
	Status string `json:"status"`           // "passed", "failed", "warned" or "skipped"
	Detail string `json:"detail"`           // the finding, or why the check was skipped; one line
	Advice string `json:"advice,omitempty"` // how to fix it; one line
	Link   string `json:"link,omitempty"`   // the URL of a section of TROUBLESHOOTING.md
}

// Diagnose checks and reports every step between the pod's environment and its credentials: the
// settings, the role, the token file and its claims, the connection to STS, an exchange of the token,
// and the identity of the credentials. It accepts the same options as New. Use it to find the cause of
// a failure. It makes three requests to STS, one of them without credentials, and discards the
// credentials that it obtains.
//
// Diagnose returns within 9 seconds, or when ctx is done, and reports which step timed out. It takes
// longer only if a token source ignores its context. Diagnose is safe for concurrent use.
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

// checkOf converts a check to its exported form.
func checkOf(c diagnose.Check) Check {
	return Check{Name: c.Name, Status: string(c.Status), Detail: c.Detail, Advice: c.Advice, Link: c.Link}
}

// OK reports whether no check failed.
func (r *Report) OK() bool {
	return !slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Status == statusFailed })
}

// String formats the report as text, wrapped at 80 columns: failures and how to fix them, then
// warnings, then counts of the remaining checks.
func (r *Report) String() string { return r.print(0, false) }

// Format prints the report like String. A width sets the line length, and %+v includes the passed and
// skipped checks, as in fmt.Printf("%+*v", columns, report).
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

// MarshalJSON encodes the report as {"ok": …, "checks": […]}.
func (r *Report) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		OK     bool    `json:"ok"`
		Checks []Check `json:"checks"`
	}{r.OK(), r.Checks})
}

// CheckTrustPolicy adds a check of the role's trust policy to the report. The document is either the
// policy itself or the output of this command:
//
//	aws iam get-role --role-name $ROLE --output json
//
// The check determines whether the policy allows the token and, if not, which condition does not match
// and why. It also warns about conditions that it cannot evaluate because only AWS knows the values of
// their keys, and about a policy that allows unintended principals too, such as every service account
// in the cluster, but not about a namespace-wide policy. If the exchange passed, the check warns
// rather than fails. CheckTrustPolicy evaluates only the document and makes no requests.
func (r *Report) CheckTrustPolicy(document []byte) {
	exchange := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Name == diagnose.NameExchange })
	var status diagnose.Status
	if exchange >= 0 {
		status = diagnose.Status(r.Checks[exchange].Status)
	}
	c := checkOf(diagnose.TrustPolicy(document, r.identity, status))
	r.Checks = slices.Insert(r.Checks, max(exchange, 0), c)
}
