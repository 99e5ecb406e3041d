package trustpolicy

import (
	"fmt"
	"strings"
)

// Request describes a request to STS: the action, the principal and the request context. A
// malformed action or principal is never allowed.
type Request struct {
	Action    string // such as sts:AssumeRoleWithWebIdentity
	Principal Principal
	Context   map[string][]string // condition keys, in any case, and their values
}

// Principal is the principal that sends a request: a web identity, or an IAM user or role.
type Principal struct {
	Federated string // the ARN of a web identity's OIDC provider; the other fields are empty then
	ARN       string // the ARN of an IAM user or role
	Session   string // the ARN of the role session, if the principal is one; ARN is the role's then
}

// Decision reports whether a policy allows a request, and why.
type Decision struct {
	Allowed    bool
	Statements []Outcome // one for each statement of the policy, in order
}

// Outcome is the result of one statement for a request.
type Outcome struct {
	Index      int        // from 1
	Sid        string     // as written
	Effect     string     // Allow or Deny
	Matches    bool       // whether the effect applies
	Mismatches []Mismatch // all reasons why it does not
}

// Mismatch is one reason why a statement does not match.
type Mismatch struct {
	Element  string   // Principal, Action, NotAction or Condition
	Operator string   // the operator of a Condition, as written
	Key      string   // the key of a Condition, as written
	Expected []string // the values in the policy
	Found    []string // the values in the request; nil if the key is absent
	Advice   string   // the likely mistake, if the effect is Allow; empty if none is known
}

// String returns one line with what was expected, what was found, and the advice.
func (m Mismatch) String() string {
	subject := m.Element
	if m.Element == "Condition" {
		subject = fmt.Sprintf("%s on %q", m.Operator, m.Key)
	}
	out := fmt.Sprintf("%s %s, found %s", subject, m.expectation(), quoted(m.Found, " and ", "nothing"))
	if m.Advice == "" {
		return out
	}
	return fmt.Sprintf("%s (%s)", out, m.Advice)
}

func (m Mismatch) expectation() string {
	switch {
	case m.Element == "NotAction":
		return "excludes " + quoted(m.Expected, " and ", "")
	case strings.Contains(m.Operator, "Not"):
		return "expects anything but " + quoted(m.Expected, " or ", "")
	case m.Operator == null && strings.EqualFold(m.Expected[0], "true"):
		return "expects no value"
	case m.Operator == null:
		return "expects a value"
	default:
		return "expects " + quoted(m.Expected, " or ", "")
	}
}

// quoted returns the quoted strings, joined by conjunction, or none if there are none.
func quoted(all []string, conjunction, none string) string {
	if len(all) == 0 {
		return none
	}
	quotes := make([]string, len(all))
	for i, s := range all {
		quotes[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(quotes, conjunction)
}
