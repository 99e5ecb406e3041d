package trustpolicy

import (
	"fmt"
	"slices"
	"strings"
)

// Evaluate decides whether the policy allows the request: at least one statement must
// allow it, and none may deny it.
func (p *Policy) Evaluate(r Request) Decision {
	in := newRequestContext(r.Context)
	d := Decision{}
	denied := false
	for _, s := range p.statements {
		o := s.evaluate(r, in)
		d.Statements = append(d.Statements, o)
		d.Allowed = d.Allowed || o.Matches && o.Effect == allow
		denied = denied || o.Matches && o.Effect == deny
	}
	d.Allowed = d.Allowed && !denied
	return d
}

func (s statement) evaluate(r Request, in requestContext) Outcome {
	o := Outcome{Index: s.index, Sid: s.sid, Effect: s.effect}
	if !matchAny(s.principals, r.Principal, s.effect) {
		o.Mismatches = append(o.Mismatches, principalMismatch(s.principals, r.Principal))
	}
	if !s.actions.match(r.Action) {
		o.Mismatches = append(o.Mismatches, s.actions.mismatch(r.Action))
	}
	for _, c := range s.conditions {
		if v, advice := c.verdict(in); !v.holds(s.effect) {
			o.Mismatches = append(o.Mismatches, c.mismatch(in, advice))
		}
	}
	if s.effect == deny { // a Deny that does not match is not a mistake
		for i := range o.Mismatches {
			o.Mismatches[i].Advice = ""
		}
	}
	o.Matches = len(o.Mismatches) == 0
	return o
}

// principalMismatch returns the reason why no principal of the statement matches r.
func principalMismatch(all []principal, r Principal) Mismatch {
	m := Mismatch{Element: "Principal", Found: r.names(), Advice: principalAdvice(all, r)}
	for _, p := range all {
		m.Expected = append(m.Expected, p.written)
	}
	return m
}

// mismatch returns the reason why the condition does not hold.
func (c condition) mismatch(in requestContext, advice string) Mismatch {
	m := Mismatch{Element: "Condition", Operator: c.operator.written, Key: c.key, Advice: advice}
	m.Found = slices.Clone(in.lookup(c.key))
	for _, v := range c.values {
		m.Expected = append(m.Expected, v.written)
	}
	if advice == "" {
		m.Advice = c.advice(in)
	}
	return m
}

// String returns the reason in one line: the statement that allowed or denied the request,
// or the mismatches of the statements that came closest to allowing it.
func (d Decision) String() string {
	deciding := deny
	if d.Allowed {
		deciding = allow
	}
	for _, o := range d.Statements {
		if o.Matches && o.Effect == deciding {
			return fmt.Sprintf("%s by %s", map[bool]string{true: "allowed", false: "denied"}[d.Allowed], title(o.Index, o.Sid))
		}
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

// closest returns the statements that came closest to allowing the request. Mismatches of
// conditions count less than others, because the author most likely wrote the statement
// with the right principal and action for this request.
func (d Decision) closest() []Outcome {
	var best []Outcome
	for _, o := range d.Statements {
		if o.Effect != allow {
			continue
		}
		if len(best) > 0 {
			switch order := o.compare(best[0]); {
			case order > 0:
				continue
			case order < 0:
				best = nil
			}
		}
		best = append(best, o)
	}
	return best
}

// compare returns a negative number if o came closer to matching than other.
func (o Outcome) compare(other Outcome) int {
	if c := o.elements() - other.elements(); c != 0 {
		return c
	}
	return len(o.Mismatches) - len(other.Mismatches)
}

// elements returns the number of mismatches in elements other than Condition.
func (o Outcome) elements() int {
	n := 0
	for _, m := range o.Mismatches {
		if m.Element != "Condition" {
			n++
		}
	}
	return n
}

func (o Outcome) reason() string {
	var all []string
	for _, m := range o.Mismatches {
		all = append(all, m.String())
	}
	return title(o.Index, o.Sid) + ": " + strings.Join(all, ", and ")
}
