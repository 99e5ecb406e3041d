package trustpolicy

import (
	"fmt"
	"slices"
	"strings"
)

// Evaluate decides about a request: it is allowed if a statement allows it and
// none denies it.
func (p *Policy) Evaluate(r Request) Decision {
	in := newCircumstances(r.Context)
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

func (s statement) evaluate(r Request, in circumstances) Outcome {
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
	if s.effect == deny { // that a Deny does not match is no mistake
		for i := range o.Mismatches {
			o.Mismatches[i].Advice = ""
		}
	}
	o.Matches = len(o.Mismatches) == 0
	return o
}

// principalMismatch says why none of the principals stands for who asks.
func principalMismatch(all []principal, r Principal) Mismatch {
	m := Mismatch{Element: "Principal", Found: r.names(), Advice: principalAdvice(all, r)}
	for _, p := range all {
		m.Expected = append(m.Expected, p.written)
	}
	return m
}

// mismatch says why the condition does not hold.
func (c condition) mismatch(in circumstances, advice string) Mismatch {
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

// String says in one line why: which statement allowed or denied, or what did not
// match in the statements that are nearest to allowing.
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
	for _, o := range d.nearest() {
		reasons = append(reasons, o.reason())
	}
	if len(reasons) == 0 {
		return "no statement allows anything"
	}
	return strings.Join(reasons, "; ")
}

// nearest returns the statements that would allow if the least were different.
// Conditions are the least: of several statements, the one for this principal and
// this action was meant.
func (d Decision) nearest() []Outcome {
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

// compare is negative if o is nearer to matching than other.
func (o Outcome) compare(other Outcome) int {
	if c := o.elements() - other.elements(); c != 0 {
		return c
	}
	return len(o.Mismatches) - len(other.Mismatches)
}

// elements counts the mismatches that are not of a condition.
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
