package trustpolicy

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/irsakit/irsakit/internal/lazyregexp"
)

// operator is the operator of a condition, as written ("IAM JSON policy elements:
// Condition operators").
type operator struct {
	comparison
	written  string
	set      string // forAnyValue, forAllValues or empty
	ifExists bool
}

const (
	forAnyValue  = "ForAnyValue"
	forAllValues = "ForAllValues"
)

// comparison is an operator without set operator and IfExists.
type comparison struct {
	name    string
	negated bool
	compare func(expected value, found string) verdict // nil for Null and unknown operators
	check   func(v value) error                        // checks a value in the policy
}

const null = "Null"

func comparisons() []comparison {
	return []comparison{
		{"StringEquals", false, equals, anyText},
		{"StringNotEquals", true, equals, anyText},
		{"StringEqualsIgnoreCase", false, equalsIgnoreCase, anyText},
		{"StringNotEqualsIgnoreCase", true, equalsIgnoreCase, anyText},
		{"StringLike", false, like, anyText},
		{"StringNotLike", true, like, anyText},
		{"ArnEquals", false, arnLike, anARN},
		{"ArnLike", false, arnLike, anARN},
		{"ArnNotEquals", true, arnLike, anARN},
		{"ArnNotLike", true, arnLike, anARN},
		{"Bool", false, equalBools, aBool},
		{null, false, nil, aBool},
		{"NumericEquals", false, numeric(func(sign int) bool { return sign == 0 }), aNumber},
		{"NumericNotEquals", true, numeric(func(sign int) bool { return sign == 0 }), aNumber},
		{"NumericLessThan", false, numeric(func(sign int) bool { return sign < 0 }), aNumber},
		{"NumericLessThanEquals", false, numeric(func(sign int) bool { return sign <= 0 }), aNumber},
		{"NumericGreaterThan", false, numeric(func(sign int) bool { return sign > 0 }), aNumber},
		{"NumericGreaterThanEquals", false, numeric(func(sign int) bool { return sign >= 0 }), aNumber},
		{"DateEquals", false, date(func(sign int) bool { return sign == 0 }), aDate},
		{"DateNotEquals", true, date(func(sign int) bool { return sign == 0 }), aDate},
		{"DateLessThan", false, date(func(sign int) bool { return sign < 0 }), aDate},
		{"DateLessThanEquals", false, date(func(sign int) bool { return sign <= 0 }), aDate},
		{"DateGreaterThan", false, date(func(sign int) bool { return sign > 0 }), aDate},
		{"DateGreaterThanEquals", false, date(func(sign int) bool { return sign >= 0 }), aDate},
		{"IpAddress", false, inNetwork, aNetwork},
		{"NotIpAddress", true, inNetwork, aNetwork},
	}
}

// parseOperator parses an operator name. Names are case-sensitive, because IAM's documentation does
// not mention any other case.
func parseOperator(written string) (operator, error) {
	o := operator{written: written}
	name := written
	if set, rest, found := strings.Cut(written, ":"); found {
		if set != forAnyValue && set != forAllValues {
			return o, fmt.Errorf("%q is not a set operator%s", set, suggestion(set, []string{forAnyValue, forAllValues}))
		}
		o.set, name = set, rest
	}
	name, o.ifExists = strings.CutSuffix(name, "IfExists")
	var known []string
	for _, c := range comparisons() {
		if c.name == name {
			o.comparison = c
		}
		known = append(known, c.name)
	}
	switch {
	case o.name == "" && operatorForm.MatchString(name) && !resembles(name, known):
		o.name, o.check = name, anyText
	case o.name == "":
		return o, errors.New("it is not an operator" + suggestion(name, known))
	case o.name == null && (o.ifExists || o.set != ""):
		return o, errors.New("the operator Null accepts neither IfExists nor a set operator")
	}
	return o, nil
}

// operatorForm matches plausible names of unsupported operators, such as BinaryEquals, for which STS
// has no keys.
var operatorForm = lazyregexp.New(`^([A-Z][a-z]+){2,}$`)

// resembles reports whether name is more likely a misspelled supported operator than an unsupported
// one.
func resembles(name string, known []string) bool {
	return suggestion(name, known) != "" ||
		slices.ContainsFunc(known, func(k string) bool { return strings.Contains(name, k) })
}

func equals(expected value, found string) verdict {
	return verdictOf(expected.text() == found)
}

func equalsIgnoreCase(expected value, found string) verdict {
	return verdictOf(strings.EqualFold(expected.text(), found))
}

func like(expected value, found string) verdict {
	return verdictOf(expected.pattern().matches(found))
}

// compareOpen compares a value that contains a variable known only to AWS. If the value does not
// match with * in place of the variable, it cannot match for any value of the variable.
func (o operator) compareOpen(expected value, found string) verdict {
	if strings.HasPrefix(o.name, "String") && !strings.HasSuffix(o.name, "IgnoreCase") && like(expected, found) == no {
		return no
	}
	return unknown
}

const arnComponents = 6

// arnLike matches each component of an ARN separately.
func arnLike(expected value, found string) verdict {
	want := expected.pattern().components(arnComponents)
	have := strings.SplitN(found, ":", arnComponents)
	if len(want) < arnComponents || len(have) < arnComponents {
		return unknown
	}
	for i, p := range want {
		if !p.matches(have[i]) {
			return no
		}
	}
	return yes
}

func equalBools(expected value, found string) verdict {
	if !isBool(found) {
		return unknown
	}
	return verdictOf(strings.EqualFold(expected.text(), found))
}

// numeric returns a number comparison. Its argument reports whether the sign of found - expected
// satisfies the operator.
func numeric(is func(sign int) bool) func(value, string) verdict {
	return func(expected value, found string) verdict {
		a, ok := number(found)
		b, _ := number(expected.text())
		if !ok || b == nil {
			return unknown
		}
		return verdictOf(is(a.Cmp(b)))
	}
}

// numberForm matches "an integer or decimal value" short enough to compare cheaply.
var numberForm = lazyregexp.New(`^[+-]?[0-9]{1,50}(\.[0-9]{1,50})?$`)

func number(text string) (*big.Rat, bool) {
	if !numberForm.MatchString(text) {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

func isBool(text string) bool {
	return strings.EqualFold(text, "true") || strings.EqualFold(text, "false")
}

func anyText(value) error { return nil }

func anARN(v value) error {
	if !v.hasVariables() && len(v.pattern().components(arnComponents)) < arnComponents {
		return fmt.Errorf("%q is not an ARN", v.written)
	}
	return nil
}

// aBool rejects variables too. IAM's documentation is inconsistent about them for Bool, and excludes
// them for Null and the numeric operators.
func aBool(v value) error {
	if !isBool(v.written) {
		return fmt.Errorf("%q is neither true nor false", v.written)
	}
	return nil
}

func aNumber(v value) error {
	if _, ok := number(v.written); !ok {
		return fmt.Errorf("%q is not a number", v.written)
	}
	return nil
}
