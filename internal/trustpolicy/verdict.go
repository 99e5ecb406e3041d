package trustpolicy

// Verdict is the result of a policy for a request.
type Verdict int

// The verdicts. The zero value is Denied.
const (
	Denied       Verdict = Verdict(no)
	Undetermined Verdict = Verdict(unknown) // it depends on what only AWS knows, or AWS does not document it
	Allowed      Verdict = Verdict(yes)
)

// String returns "denied", "undetermined" or "allowed".
func (v Verdict) String() string {
	return [...]string{"denied", "undetermined", "allowed"}[v]
}

// verdict is the result of a part of a policy. The verdicts are ordered, so that the minimum
// of several is their conjunction and the maximum their disjunction.
type verdict int

const (
	no      verdict = iota
	unknown         // undetermined
	yes
)

func verdictOf(b bool) verdict {
	if b {
		return yes
	}
	return no
}

func (v verdict) negated() verdict { return yes - v }
