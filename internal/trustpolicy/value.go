package trustpolicy

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/irsakit/irsakit/internal/lazyregexp"
)

// value is a condition value. It may contain policy variables ("IAM policy elements: Variables and
// tags").
type value struct {
	written string
	parts   []part
	open    bool    // contains a variable known only to AWS, replaced by *
	fixed   pattern // the pattern of a value without variables, parsed only once
}

// part is fixed text, or a variable that is replaced by a value from the request.
type part struct {
	text     string
	literal  bool    // * and ? are not wildcards in the text
	variable string  // the key of a variable
	fallback *string // the variable's default value, if any
}

// variableForm matches the text between ${ and }, which is a key and an optional default value.
var variableForm = lazyregexp.New(`^([^\s:$',]+:[^$',]*[^\s:$',])(?:, '([^$']*)')?$`)

// parseValue splits a value into parts. Only the newer version of the policy language has variables.
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
	if !v.hasVariables() {
		v.fixed = v.pattern()
	}
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

// resolved replaces variables with their values in the request. If a variable does not have exactly
// one usable value, resolved returns advice about it. According to IAM's documentation, "any attempt
// to match it fails and causes the statement to be invalid", and variables have a single value. If a
// value is known only to AWS, the result is open.
func (v value) resolved(c requestContext) (r value, advice string) {
	if !v.hasVariables() {
		return v, ""
	}
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

// text returns a resolved value as literal text, without special meaning for wildcards.
func (v value) text() string {
	var b strings.Builder
	for _, p := range v.parts {
		b.WriteString(p.text)
	}
	return b.String()
}

// pattern returns the pattern for a resolved value. Values of variables do not contain wildcards.
func (v value) pattern() pattern {
	if v.fixed != nil {
		return v.fixed
	}
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
