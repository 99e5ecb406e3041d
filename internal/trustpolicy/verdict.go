package trustpolicy

// Verdict is the result of evaluating a policy for a request.
type Verdict int

// The zero value is Denied.
const (
	Denied       Verdict = Verdict(no)
	Undetermined Verdict = Verdict(unknown) // depends on values known only to AWS, or is not documented by AWS
	Allowed      Verdict = Verdict(yes)
)

// String returns "denied", "undetermined" or "allowed".
func (v Verdict) String() string {
	return [...]string{"denied", "undetermined", "allowed"}[v]
}

// verdict is the result of evaluating a part of a policy. The values are ordered so that min is their
// conjunction and max their disjunction.
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
