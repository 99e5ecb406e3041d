package trustpolicy

// verdict is what is known of a condition. The verdicts are ordered, so that "and"
// is the least of several and "or" the greatest.
type verdict int

const (
	no      verdict = iota
	unknown         // the documents leave it open: it counts against the request
	yes
)

func verdictOf(b bool) verdict {
	if b {
		return yes
	}
	return no
}

func (v verdict) negated() verdict { return yes - v }

// holds says whether a statement of that effect takes the condition as true.
func (v verdict) holds(effect string) bool {
	if effect == deny {
		return v != no
	}
	return v == yes
}
