package trustpolicy

import (
	"slices"
	"strings"
)

// Evaluate decides whether the policy allows the request. At least one statement must allow it, and
// none may deny it. Each condition is evaluated only once.
func (p *Policy) Evaluate(r Request) Decision {
	in := newRequestContext(r)
	d := Decision{}
	allows, denies := no, no
	for _, s := range p.statements {
		o := s.evaluate(r, in)
		d.Statements = append(d.Statements, o)
		if o.Effect == allow {
			allows = max(allows, o.verdict())
		} else {
			denies = max(denies, o.verdict())
		}
	}
	d.Verdict = Verdict(min(allows, denies.negated()))
	return d
}

func (s statement) evaluate(r Request, in requestContext) Outcome {
	o := Outcome{Index: s.index, Sid: s.sid, Effect: s.effect}
	o.add(matchAny(s.principals, r.Principal, s.effect), func() Mismatch { return principalMismatch(s.principals, r.Principal) })
	o.add(verdictOf(s.actions.match(r.Action)), func() Mismatch { return s.actions.mismatch(r.Action) })
	for _, c := range s.conditions {
		v, advice := c.verdict(in, s.effect)
		o.add(v, func() Mismatch { return c.mismatch(in, advice) })
	}
	if s.effect == deny { // a Deny that does not match is not a mistake
		for i := range o.Mismatches {
			o.Mismatches[i].Advice = ""
		}
	}
	o.Matches = o.verdict() == yes
	return o
}

// add records the result for a part of the statement.
func (o *Outcome) add(v verdict, mismatch func() Mismatch) {
	switch v {
	case no:
		o.Mismatches = append(o.Mismatches, mismatch())
	case unknown:
		o.Undetermined = append(o.Undetermined, mismatch())
	}
}

// principalMismatch explains why none of the statement's principals match r.
func principalMismatch(all []principal, r Principal) Mismatch {
	m := Mismatch{Element: "Principal", Found: r.names(), Advice: principalAdvice(all, r)}
	for _, p := range all {
		m.Expected = append(m.Expected, p.written)
	}
	return m
}

// mismatch explains why the condition does not hold, or may not hold.
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

// closest returns the statements that came closest to allowing the request. Mismatched conditions
// count less than other mismatches, because a statement with the right principal and action was most
// likely written for this request.
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
