package trustpolicy

import (
	"fmt"
	"strings"
)

// Request is what STS is asked for, by whom, in which circumstances. An action or
// a principal that is not well-formed is never allowed.
type Request struct {
	Action    string // such as sts:AssumeRoleWithWebIdentity
	Principal Principal
	Context   map[string][]string // condition keys, in any case, and their values
}

// Principal is who asks: a web identity, or an IAM user or role.
type Principal struct {
	Federated string // the ARN of the OIDC provider of a web identity; then it is alone
	ARN       string // of an IAM user or role
	Session   string // of the role's session, if it is one; ARN is the role's
}

// Decision is whether a policy allows a request, and why.
type Decision struct {
	Allowed    bool
	Statements []Outcome // one for each statement of the policy, in order
}

// Outcome is what one statement says of a request.
type Outcome struct {
	Index      int        // from 1
	Sid        string     // as written
	Effect     string     // Allow or Deny
	Matches    bool       // whether the effect applies
	Mismatches []Mismatch // why it does not: all the reasons
}

// Mismatch is one reason why a statement does not match.
type Mismatch struct {
	Element  string   // Principal, Action, NotAction or Condition
	Operator string   // of a Condition, as written
	Key      string   // of a Condition, as written
	Expected []string // what the policy says
	Found    []string // what the request has; nil where the key is absent
	Advice   string   // which mistake it may be, for an Allow; empty if none is known
}

// String says in one line what was expected and what was found, and which mistake
// it may be.
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

// quoted joins texts, or is what stands for none.
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
