package trustpolicy

// verdict is the result of a condition. The verdicts are ordered, so that the minimum of
// several is their conjunction and the maximum their disjunction.
type verdict int

const (
	no      verdict = iota
	unknown         // IAM's documents leave it open; counts against the request
	yes
)

func verdictOf(b bool) verdict {
	if b {
		return yes
	}
	return no
}

func (v verdict) negated() verdict { return yes - v }

// holds reports whether the condition counts as true in a statement with the effect.
func (v verdict) holds(effect string) bool {
	if effect == deny {
		return v != no
	}
	return v == yes
}
