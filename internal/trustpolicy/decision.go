package trustpolicy

import (
	"fmt"
	"slices"
	"strings"
)

// Request describes an STS request by its action, principal and context. A request with a malformed
// action or principal is never allowed.
type Request struct {
	Action    string // such as sts:AssumeRoleWithWebIdentity
	Principal Principal
	Context   map[string][]string // condition keys in any case, with their values

	// Unknown reports whether a key that is absent from Context may have a value known only to AWS.
	// Conditions on such a key are undetermined. If Unknown is nil, Context is complete.
	Unknown func(key string) bool
}

// Principal is the principal that makes a request: a web identity, or an IAM user or role.
type Principal struct {
	Federated string // the ARN of a web identity's OIDC provider; if set, the other fields are empty
	ARN       string // the ARN of an IAM user or role
	Session   string // the ARN of the role session if the principal is one; ARN is then the role's
}

// Decision is the result of evaluating a policy for a request.
type Decision struct {
	Verdict    Verdict
	Statements []Outcome // one for each statement in the policy, in order
}

// Allowed reports whether the policy certainly allows the request.
func (d Decision) Allowed() bool { return d.Verdict == Allowed }

// Explicit reports whether a statement certainly denies the request.
func (d Decision) Explicit() bool { return len(d.matching(deny)) > 0 }

// OnlySubject reports whether only conditions on the subject keep the closest statements from
// allowing the request. It returns false if one of them cannot match any subject.
func (d Decision) OnlySubject() bool {
	closest := d.closest()
	for _, o := range closest {
		for _, m := range o.Mismatches {
			if _, claim := cutClaim(m.Key); !strings.EqualFold(claim, "sub") || len(m.Found) == 0 || !m.hasSubject() {
				return false
			}
		}
	}
	return len(closest) > 0
}

// hasSubject reports whether a condition on the subject can match any. No subject contains a * or ?,
// and only operators such as StringLike treat them as wildcards.
func (m Mismatch) hasSubject() bool {
	return strings.Contains(m.Operator, "Like") || strings.Contains(m.Operator, "Not") ||
		slices.ContainsFunc(m.Expected, func(subject string) bool { return !strings.ContainsAny(subject, "*?") })
}

// Outcome is the result of a statement for a request.
type Outcome struct {
	Index        int        // starts at 1
	Sid          string     // as written
	Effect       string     // Allow or Deny
	Matches      bool       // whether the effect certainly applies
	Mismatches   []Mismatch // every reason why it does not
	Undetermined []Mismatch // the parts that cannot be evaluated; if Mismatches is empty, the effect may apply
}

// verdict returns yes if the statement's effect applies, no if it does not, and unknown if that depends
// on parts that cannot be evaluated.
func (o Outcome) verdict() verdict {
	switch {
	case len(o.Mismatches) > 0:
		return no
	case len(o.Undetermined) > 0:
		return unknown
	default:
		return yes
	}
}

// Mismatch is a reason why a statement does not match, or may not match.
type Mismatch struct {
	Element  string   // Principal, Action, NotAction or Condition
	Operator string   // the operator of a Condition, as written
	Key      string   // the key of a Condition, as written
	Expected []string // the values in the policy
	Found    []string // the values in the request; nil if the key is absent
	Advice   string   // the likely mistake if the effect is Allow, or why it is undetermined; may be empty
}

// String returns, on one line, what was expected, what was found, and the advice.
func (m Mismatch) String() string {
	out := fmt.Sprintf("%s %s, found %s", m.subject(), m.expectation(), quoted(m.Found, " and ", "nothing"))
	if m.Advice == "" {
		return out
	}
	return fmt.Sprintf("%s (%s)", out, m.Advice)
}

// subject returns the element or, for a Condition, its operator and key.
func (m Mismatch) subject() string {
	if m.Element == "Condition" {
		return fmt.Sprintf("%s on %q", m.Operator, m.Key)
	}
	return m.Element
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

// quoted returns the strings quoted and joined by conjunction, or none if the list is empty.
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

// String returns the reason on one line: the statement that allowed or denied the request, what is
// undetermined, or the mismatches of the statements that came closest to allowing it.
func (d Decision) String() string {
	denies := d.matching(deny)
	switch {
	case d.Verdict == Allowed:
		return "allowed by " + d.matching(allow)[0]
	case d.Verdict == Undetermined:
		return d.undetermined()
	case len(denies) > 0:
		return "denied by " + denies[0]
	}
	var reasons []string
	for _, o := range d.closest() {
		reasons = append(reasons, o.reason())
	}
	if len(reasons) == 0 {
		return "no statement allows anything"
	}
	return strings.Join(reasons, "; ")
}

// matching returns the titles of statements with the given effect that certainly match.
func (d Decision) matching(effect string) []string {
	var all []string
	for _, o := range d.Statements {
		if o.Effect == effect && o.Matches {
			all = append(all, title(o.Index, o.Sid))
		}
	}
	return all
}

// undetermined describes the undetermined statements that the decision depends on.
func (d Decision) undetermined() string {
	out := ""
	if allows := d.matching(allow); len(allows) > 0 {
		out = "allowed by " + allows[0] + ", unless denied; "
	}
	var reasons []string
	for _, o := range d.Statements {
		if o.verdict() != unknown || out != "" && o.Effect == allow {
			continue
		}
		reasons = append(reasons, o.Effect+" in "+title(o.Index, o.Sid)+" cannot be evaluated: "+o.undetermined())
	}
	return out + strings.Join(reasons, "; ")
}

// undetermined describes the undetermined parts of the statement.
func (o Outcome) undetermined() string {
	var all []string
	for _, m := range o.Undetermined {
		reason := m.Advice
		if reason == "" {
			reason = "AWS does not document its result for " + quoted(m.Found, " and ", "no value")
		}
		all = append(all, fmt.Sprintf("%s (%s)", m.subject(), reason))
	}
	return strings.Join(all, ", and ")
}
