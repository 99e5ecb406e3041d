package trustpolicy

import (
	"fmt"
	"slices"
	"strings"
)

// Review contains the decision for a web identity, and the unintended principals that the
// policy also allows.
type Review struct {
	Decision Decision
	Findings []Finding // one for each statement that allows strangers, in order, but notes last
}

// Finding describes the strangers that a statement allows.
type Finding struct {
	Statement  string   // such as "statement 1 (Cart)"
	Principals []string // the unintended principals, the most important first
	Note       bool     // a documented, common choice that is not a mistake
	Certain    bool     // whether they are certainly allowed; otherwise that depends on values known only to AWS
	how        []string // how to tighten the statement
}

// Review evaluates the policy for a web identity, and for strangers that differ from it: by
// the service account, the namespace, the subject, the audience, a missing claim, the action,
// or because they are an AWS principal of another account or a token of another provider in
// the policy. If they are allowed too, a statement is likely too broad.
//
// A statement that allows all service accounts of the web identity's own namespace is a
// note: the EKS User Guide describes it, and permission to create pods in a namespace
// already implies the use of all of its service accounts.
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

// decide returns the decision on the request of a web identity. If the token's claims tag the
// session or set its source identity, the policy must also allow that.
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

// add adds a stranger, unless the finding includes it already.
func (f *Finding) add(s stranger, v Verdict) {
	if slices.ContainsFunc(s.within, func(broader string) bool { return slices.Contains(f.Principals, broader) }) {
		return
	}
	f.Note = s.note && (f.Note || len(f.Principals) == 0)
	f.Certain = f.Certain || v == Allowed
	f.Principals = append(f.Principals, s.who)
	f.how = append(f.how, s.how)
}

// TooBroad reports whether a finding is more than a note.
func (r Review) TooBroad() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return !f.Note })
}

// maxFindings is the maximum number of findings in texts.
const maxFindings = 3

// String returns the decision and the first findings in one line.
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

// String returns the finding in one line.
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

// Advice returns what to check by hand, and how to tighten the statements that are too broad,
// in one line, for the first findings. It returns "" if there is neither.
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
