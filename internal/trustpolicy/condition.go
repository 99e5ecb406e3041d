package trustpolicy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// condition tests one context key with an operator and a list of values.
type condition struct {
	operator operator
	key      string
	values   []value
}

// requestContext contains the context keys of a request by lowercase name: "Context key names are not
// case-sensitive".
type requestContext struct {
	keys     map[string]contextKey
	unknown  func(key string) bool // nil if the context is complete
	unsigned bool                  // the request is that of a web identity
}

type contextKey struct {
	key    string // as written in the request
	values []string
}

func newRequestContext(r Request) requestContext {
	c := requestContext{map[string]contextKey{}, r.Unknown, r.Principal.Federated != ""}
	for _, key := range slices.Sorted(maps.Keys(r.Context)) {
		lower := strings.ToLower(key)
		c.keys[lower] = contextKey{key, slices.Concat(c.keys[lower].values, r.Context[key])}
	}
	return c
}

func (c requestContext) lookup(key string) []string { return c.keys[strings.ToLower(key)].values }

// mayExist reports whether a key that is absent from the request may have a value known only to AWS.
func (c requestContext) mayExist(key string) bool {
	return len(c.lookup(key)) == 0 && c.unknown != nil && c.unknown(strings.ToLower(key))
}

func parseConditions(element any, version string) ([]condition, error) {
	operators, err := members(element)
	if err != nil {
		return nil, err
	}
	var all []condition
	for _, m := range operators {
		some, err := parseOperatorBlock(m, version)
		if err != nil {
			return nil, at(m.name, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

func parseOperatorBlock(m member, version string) ([]condition, error) {
	o, err := parseOperator(m.name)
	if err != nil {
		return nil, err
	}
	keys, err := members(m.value)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no key")
	}
	var all []condition
	for _, k := range keys {
		c := condition{operator: o, key: k.name}
		if slices.ContainsFunc(all, func(other condition) bool { return strings.EqualFold(other.key, c.key) }) {
			return nil, fmt.Errorf("duplicate key %q in a different case", k.name)
		}
		if err := c.parse(k.value, version); err != nil {
			return nil, at(strconv.Quote(k.name), err)
		}
		all = append(all, c)
	}
	return all, nil
}

func (c *condition) parse(written any, version string) error {
	if !strings.Contains(c.key, ":") || strings.ContainsAny(c.key, "${}*?") || strings.TrimSpace(c.key) != c.key {
		return errors.New("it is not a condition key, such as aws:PrincipalArn")
	}
	elements, err := list(written)
	if err != nil {
		return err
	}
	for _, e := range elements {
		s, err := scalar(e)
		if err != nil {
			return err
		}
		v, err := parseValue(s, version)
		if err != nil {
			return err
		}
		if err := c.operator.check(v); err != nil {
			return err
		}
		c.values = append(c.values, v)
	}
	return nil
}

// scalar returns a condition value as a string: "Quotation marks are optional for numeric and Boolean
// values".
func scalar(v any) (string, error) {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v), nil
	case json.Number:
		return v.String(), nil
	default:
		return text(v)
	}
}

const (
	keyUnknown      = "its value is known only to AWS"
	operatorUnknown = "unsupported operator"
)

// verdict evaluates the condition in a statement with the given effect ("Creating a condition with
// multiple keys or values"). The advice explains what is undetermined, or which policy variable
// cannot be resolved.
func (c condition) verdict(in requestContext, effect string) (result verdict, advice string) {
	switch {
	case in.mayExist(c.key):
		return unknown, keyUnknown
	case c.operator.name == null:
		return c.presence(in.lookup(c.key)), ""
	case c.operator.compare == nil:
		return unknown, operatorUnknown
	}
	found := in.lookup(c.key)
	values, missing, open := c.resolved(in)
	invalid := no // an Allow does not apply; IAM's documentation does not define an invalid Deny
	if effect == deny {
		invalid = unknown
	}
	switch {
	case len(found) == 0 && (missing == "" || c.operator.ifExists):
		return c.absence(), ""
	case len(found) == 0:
		return min(c.absence(), invalid), missing
	case missing != "":
		return invalid, missing
	}
	if result = c.combine(found, values); result != unknown {
		open = ""
	}
	return result, open
}

// resolved returns the policy's values with variables replaced. missing is advice about a variable
// without a value, and open is advice about a variable whose value is known only to AWS.
func (c condition) resolved(in requestContext) (values []value, missing, open string) {
	values = make([]value, len(c.values))
	for i, v := range c.values {
		var advice string
		switch values[i], advice = v.resolved(in); {
		case values[i].open:
			open = advice
		case advice != "":
			missing = advice
		}
	}
	return values, missing, open
}

// presence evaluates the operator Null, whose value is true if the key must be absent.
func (c condition) presence(found []string) verdict {
	if len(found) > 0 && empty(found) {
		return unknown
	}
	absent := strconv.FormatBool(len(found) == 0)
	return verdictOf(slices.ContainsFunc(c.values, func(v value) bool { return strings.EqualFold(v.written, absent) }))
}

// absence evaluates the condition for a key that is absent from the request.
func (c condition) absence() verdict {
	o := c.operator
	switch {
	case o.set == forAllValues:
		return yes
	case o.set == forAnyValue && o.ifExists:
		return unknown
	case o.set == forAnyValue:
		return no
	default:
		return verdictOf(o.ifExists || o.negated)
	}
}

// combine evaluates the condition for all values in the request.
func (c condition) combine(found []string, values []value) verdict {
	all, some := yes, no
	for _, f := range found {
		v := c.test(f, values)
		all, some = min(all, v), max(some, v)
	}
	switch {
	case c.operator.set != "" && empty(found): // equivalent to an absent key
		return c.absence()
	case c.operator.set == forAllValues:
		return all
	case c.operator.set == "" && len(found) > 1:
		return min(some, unknown)
	default:
		return some
	}
}

// test evaluates the condition for one value in the request. The value must be among the policy's
// values or, for a negated operator, must not be.
func (c condition) test(found string, values []value) verdict {
	result := no
	for _, v := range values {
		one := c.operator.compare(v, found)
		if v.open {
			one = c.operator.compareOpen(v, found)
		}
		result = max(result, one)
	}
	if c.operator.negated {
		return result.negated()
	}
	return result
}

// empty reports whether all values are empty strings, which is "a null dataset".
func empty(found []string) bool {
	return !slices.ContainsFunc(found, func(f string) bool { return f != "" })
}
