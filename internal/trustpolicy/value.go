package trustpolicy

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/irsakit/irsakit/internal/lazyregexp"
)

// value is one value of a condition. It may contain policy variables ("IAM policy
// elements: Variables and tags").
type value struct {
	written string
	parts   []part
	open    bool // has a variable whose value only AWS knows, replaced by *
}

// part is text, or a variable that is replaced by text of the request.
type part struct {
	text     string
	literal  bool    // * and ? in the text are not wildcards
	variable string  // the key of a variable
	fallback *string // the default value of a variable, if it has one
}

// variableForm matches the text between ${ and }: a key and optionally its default value.
var variableForm = lazyregexp.New(`^([^\s:$',]+:[^$',]*[^\s:$',])(?:, '([^$']*)')?$`)

// parseValue splits a value into its parts. Only the newer version of the policy language
// has variables.
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
			return value{}, fmt.Errorf("%q: unterminated policy variable", written)
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

// resolved replaces the variables by their values in the request. If a variable does not
// have exactly one usable value, resolved returns advice about it. According to IAM's
// documents, "any attempt to match it fails and causes the statement to be invalid", and
// variables have one value. If only AWS knows a value, the result is open.
func (v value) resolved(c requestContext) (r value, advice string) {
	r = value{written: v.written}
	for _, p := range v.parts {
		if p.variable != "" {
			found := c.lookup(p.variable)
			switch {
			case c.mayExist(p.variable):
				r.open, advice = true, fmt.Sprintf("only AWS knows ${%s}", p.variable)
				p.text, p.literal = "*", false
			case len(found) == 0 && p.fallback != nil:
				p.text = *p.fallback
			case len(found) == 0:
				return value{written: v.written}, fmt.Sprintf("${%s} is not in the request", p.variable)
			case len(found) > 1:
				return value{written: v.written}, fmt.Sprintf("${%s} has several values in the request", p.variable)
			case found[0] == "" || strings.ContainsRune(found[0], utf8.RuneError):
				return value{written: v.written}, fmt.Sprintf("${%s} has no usable value in the request", p.variable)
			default:
				p.text = found[0]
			}
		}
		r.parts = append(r.parts, p)
	}
	return r, advice
}

// text returns a resolved value as literal text, in which wildcards have no special meaning.
func (v value) text() string {
	var b strings.Builder
	for _, p := range v.parts {
		b.WriteString(p.text)
	}
	return b.String()
}

// pattern returns the pattern of a resolved value. Values of variables have no wildcards.
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

// hasVariables reports whether the value contains variables.
func (v value) hasVariables() bool {
	for _, p := range v.parts {
		if p.variable != "" {
			return true
		}
	}
	return false
}
