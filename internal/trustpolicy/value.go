package trustpolicy

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// value is one value of a condition, which may have policy variables ("IAM policy
// elements: Variables and tags").
type value struct {
	written string
	parts   []part
}

// part is a text, or a variable that the request replaces by one.
type part struct {
	text     string
	literal  bool    // its * and ? are no wildcards
	variable string  // the key of a variable
	fallback *string // of a variable with a default value
}

// Inside of ${ and }: a key and perhaps its default value.
var variableForm = regexp.MustCompile(`^([^\s:$',]+:[^$',]*[^\s:$',])(?:, '([^$']*)')?$`)

// parseValue splits a value into its parts. Only the newer version of the
// language has variables.
func parseValue(written, version string) (value, error) {
	v := value{written: written}
	rest := written
	for version == version2012 {
		before, after, found := strings.Cut(rest, "${")
		if !found {
			break
		}
		inside, next, closed := strings.Cut(after, "}")
		if !closed {
			return value{}, fmt.Errorf("%q: the variable has no end", written)
		}
		variable, err := parseVariable(inside)
		if err != nil {
			return value{}, fmt.Errorf("%q: ${%s} %w", written, inside, err)
		}
		v.parts = append(v.parts, part{text: before}, variable)
		rest = next
	}
	v.parts = append(v.parts, part{text: rest})
	return v, nil
}

func parseVariable(inside string) (part, error) {
	switch inside {
	case "*", "?", "$":
		return part{text: inside, literal: true}, nil
	}
	form := variableForm.FindStringSubmatchIndex(inside)
	if form == nil {
		return part{}, errors.New("is not a policy variable")
	}
	p := part{variable: inside[form[2]:form[3]], literal: true}
	if form[4] >= 0 {
		fallback := inside[form[4]:form[5]]
		p.fallback = &fallback
	}
	return p, nil
}

// resolved returns the value without variables, or an advice about one that has
// no value in the request. IAM's documents say that "any attempt to match it fails
// and causes the statement to be invalid", and that variables have one value.
func (v value) resolved(c circumstances) (value, string) {
	r := value{written: v.written}
	for _, p := range v.parts {
		if p.variable != "" {
			found := c.lookup(p.variable)
			switch {
			case len(found) == 0 && p.fallback != nil:
				p.text = *p.fallback
			case len(found) == 0:
				return r, fmt.Sprintf("${%s} is not in the request", p.variable)
			case len(found) > 1:
				return r, fmt.Sprintf("${%s} has several values in the request", p.variable)
			case found[0] == "" || strings.ContainsRune(found[0], utf8.RuneError):
				return r, fmt.Sprintf("${%s} has no usable value in the request", p.variable)
			default:
				p.text = found[0]
			}
		}
		r.parts = append(r.parts, p)
	}
	return r, ""
}

// text is that of a resolved value; wildcards in it are characters.
func (v value) text() string {
	var b strings.Builder
	for _, p := range v.parts {
		b.WriteString(p.text)
	}
	return b.String()
}

// pattern is that of a resolved value. What a variable is replaced by has no
// wildcards.
func (v value) pattern() pattern {
	var all pattern
	for _, p := range v.parts {
		if p.literal {
			all = append(all, plain(p.text)...)
		} else {
			all = append(all, wild(p.text)...)
		}
	}
	return all
}

// hasVariables says whether the value depends on the request.
func (v value) hasVariables() bool {
	for _, p := range v.parts {
		if p.variable != "" {
			return true
		}
	}
	return false
}
