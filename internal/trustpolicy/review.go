package trustpolicy

import (
	"fmt"
	"slices"
	"strings"
)

// Review contains the decision for a web identity, and the unintended principals that are also
// allowed.
type Review struct {
	Decision Decision
	Findings []Finding // one for each statement that allows strangers, in order, with notes last
}

// Finding describes the strangers that a statement allows.
type Finding struct {
	Statement  string   // such as "statement 1 (Cart)"
	Principals []string // the unintended principals, most important first
	Note       bool     // a common, documented choice rather than a mistake
	Certain    bool     // whether they are certainly allowed; if not, it depends on values known only to AWS
	how        []string // how to tighten the statement
}

// Review evaluates the policy for a web identity and for strangers. Strangers are variations of the
// web identity, such as one with another namespace or without a claim, as well as AWS principals of
// another account and tokens from other providers in the policy. If strangers are also allowed, a
// statement is likely too broad.
//
// A statement that allows all service accounts in the web identity's own namespace is only a note,
// because the EKS User Guide describes it, and permission to create pods in a namespace already
// implies the use of all its service accounts.
func (p *Policy) Review(w WebIdentity) Review {
	out := Review{Decision: p.decide(w)}
	var notes []Finding
	found := make([]Finding, len(p.statements))
	for _, s := range p.strangers(w) {
		d := p.Evaluate(s.request)
		if d.Verdict == Denied {
			continue
		}
		for i, o := range d.Statements {
			if o.Effect == allow && o.verdict() != no {
				found[i].add(s, d.Verdict)
			}
		}
	}
	for i, f := range found {
		if len(f.Principals) == 0 {
			continue
		}
		f.Statement = title(p.statements[i].index, p.statements[i].sid)
		if f.Note {
			notes = append(notes, f)
		} else {
			out.Findings = append(out.Findings, f)
		}
	}
	out.Findings = append(out.Findings, notes...)
	return out
}

// decide returns the decision for a web identity. If the token's claims tag the session or set its
// source identity, the policy must also allow that.
func (p *Policy) decide(w WebIdentity) Decision {
	r := w.Request()
	decision := p.Evaluate(r)
	for _, r.Action = range w.furtherActions() {
		if d := p.Evaluate(r); d.Verdict < decision.Verdict {
			decision = d
		}
	}
	return decision
}

// add adds a stranger unless the finding already includes it.
func (f *Finding) add(s stranger, v Verdict) {
	if slices.ContainsFunc(s.within, func(broader string) bool { return slices.Contains(f.Principals, broader) }) {
		return
	}
	f.Note = s.note && (f.Note || len(f.Principals) == 0)
	f.Certain = f.Certain || v == Allowed
	f.Principals = append(f.Principals, s.who)
	f.how = append(f.how, s.how)
}

// TooBroad reports whether any finding is more than a note.
func (r Review) TooBroad() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return !f.Note })
}

// maxFindings is the maximum number of findings in a text.
const maxFindings = 3

// String returns the decision and the first findings on one line.
func (r Review) String() string {
	out := []string{r.Decision.String()}
	for _, f := range r.Findings[:min(len(r.Findings), maxFindings)] {
		out = append(out, f.String())
	}
	if more := len(r.Findings) - maxFindings; more > 0 {
		out = append(out, fmt.Sprintf("%d more statements allow unintended principals", more))
	}
	return strings.Join(out, "; ")
}

// String returns the finding on one line.
func (f Finding) String() string {
	who := strings.Join(f.Principals, " and ")
	switch {
	case f.Note:
		return fmt.Sprintf("%s also allows %s", f.Statement, who)
	case f.Certain:
		return fmt.Sprintf("%s is too broad: it also allows %s", f.Statement, who)
	default:
		return fmt.Sprintf("%s may be too broad: it may also allow %s", f.Statement, who)
	}
}

// Advice returns, on one line, what to check manually and how to tighten the statements that are too
// broad, for the first findings. It returns "" if neither applies.
func (r Review) Advice() string {
	var all []string
	if r.Decision.Verdict == Undetermined {
		all = append(all, "check manually what could not be evaluated")
	}
	for _, f := range r.Findings[:min(len(r.Findings), maxFindings)] {
		if !f.Note {
			all = append(all, fmt.Sprintf("in %s, %s", f.Statement, strings.Join(f.how, ", and ")))
		}
	}
	return strings.Join(all, "; ")
}
