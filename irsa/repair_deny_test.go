package irsa_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// exception is a change to a Deny statement.
type exception struct {
	action   string // the action to move to its own statement and change there; "" for none
	element  string // a condition to add, or the new Resource
	resource string // the resource to remove from Resource instead, unless Resource is "*"; "" for none
}

// The texts around an element.
var (
	ownStatement  = regexp.MustCompile(`move (sts:\w+) to a Deny statement of its own`)
	anyResource   = regexp.MustCompile(`If the Resource there is "\*", replace it with $`)
	otherResource = regexp.MustCompile(`^; otherwise remove (arn:\S+) from it`)
)

// exceptionIn returns the exception with the element between two parts of an advice.
func exceptionIn(before, element, after string) exception {
	e := exception{element: element}
	if match := ownStatement.FindStringSubmatch(before); match != nil {
		e.action = match[1]
	}
	if match := otherResource.FindStringSubmatch(after); match != nil && anyResource.MatchString(before) {
		e.resource = match[1]
	}
	return e
}

// denyStatement is a Deny statement of a policy.
type denyStatement struct {
	Effect      string
	Principal   string     `json:",omitempty"`
	Action      actionList // may include actions other than the denied one
	Resource    []string   `json:",omitempty"`
	NotResource string     `json:",omitempty"`
	Condition   conditions `json:",omitempty"`
}

// conditions are conditions of a statement: operators, keys and values.
type conditions map[string]map[string]string

// otherActions are actions that sites do not need.
var otherActions = []string{"sts:AssumeRoleWithSAML", "sts:SetContext"}

// denyStatement returns a statement that denies the request.
func (s *site) denyStatement(d denial) denyStatement {
	action := actionList{d.action}
	if s.chance() {
		action = append(action, otherActions...)
	}
	if d.policy == "resource-based policy" {
		return denyStatement{Effect: "Deny", Principal: "*", Action: action}
	}
	resource := []string{"*"}
	if s.chance() {
		resource = []string{d.role.ARN(), d.role.ARN() + "-2"}
	}
	return denyStatement{Effect: "Deny", Action: action, Resource: resource}
}

func (d denyStatement) json(t *testing.T) string {
	text, err := json.Marshal(d)
	require.NoError(t, err)
	return string(text)
}

// except applies an exception to the statement and returns the resulting statements.
func (d denyStatement) except(t *testing.T, e exception) []denyStatement {
	var all []denyStatement
	if rest := without(d.Action, e.action); len(rest) > 0 && len(rest) < len(d.Action) {
		old := d
		old.Action, d.Action = rest, actionList{e.action}
		all = append(all, old)
	}
	switch {
	case e.resource != "" && !slices.Equal(d.Resource, []string{"*"}):
		d.Resource = without(d.Resource, e.resource)
	case strings.HasPrefix(e.element, `{"NotResource"`):
		d.Resource = nil
		require.NoError(t, json.Unmarshal([]byte(e.element), &d))
	default:
		require.NoError(t, json.Unmarshal([]byte(e.element), &d.Condition))
	}
	return append(all, d)
}

func without(all []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == one })
}

// request is a request that a statement can deny.
type request struct {
	action, resource string
	caller           map[string]string // the values of condition keys
}

// deniedBy reports whether one of the statements denies the request.
func (r request) deniedBy(statements ...denyStatement) bool {
	return slices.ContainsFunc(statements, func(d denyStatement) bool {
		named := len(d.Resource) == 0 || slices.Contains(d.Resource, "*") || slices.Contains(d.Resource, r.resource)
		return slices.Contains(d.Action, r.action) && named && r.resource != d.NotResource && d.Condition.hold(r.caller)
	})
}

// hold reports whether the conditions hold. All of their operators are negated.
func (c conditions) hold(caller map[string]string) bool {
	for _, values := range c {
		for key, value := range values {
			if caller[key] == value {
				return false
			}
		}
	}
	return true
}

// exempt adds an exception to the Deny statement of a policy.
func (s *site) exempt(policy, owner string, e exception) {
	if policy == "trust policy" {
		if r := s.roles[owner]; r != nil {
			s.addException(r, e)
		}
		policy = "resource-based policy"
	}
	if d := s.denial; d.matches(policy, owner, true) && (policy != "resource-based policy" || owner == d.role.ARN()) {
		statements := d.statement.except(s.T, e)
		s.checkOtherRequests(statements)
		d.role.Recover()
	}
}

// addException adds an exception to the Deny statements of a role's trust policy.
func (s *site) addException(r *irsatest.Role, e exception) {
	var document struct{ Statement []json.RawMessage }
	require.NoError(s, json.Unmarshal([]byte(r.TrustPolicy()), &document))
	var statements []json.RawMessage
	for _, text := range document.Statement {
		var deny denyStatement
		if json.Unmarshal(text, &deny) != nil || deny.Effect != "Deny" {
			statements = append(statements, text)
			continue
		}
		for _, d := range deny.except(s.T, e) {
			statements = append(statements, json.RawMessage(d.json(s.T)))
		}
	}
	s.setStatements(r, statements...)
}

// checkOtherRequests checks that the changed statements deny the same requests as before, except
// requests of the denied caller.
func (s *site) checkOtherRequests(statements []denyStatement) {
	d, key, value := s.denial, s.claim("sub"), s.sa.Subject()
	if s.denial.caller != nil {
		key, value = "aws:PrincipalArn", s.denial.caller.ARN()
	}
	for _, action := range append(otherActions, d.action) {
		for _, resource := range []string{d.role.ARN(), d.role.ARN() + "-2", d.role.ARN() + "-3"} {
			for _, caller := range []string{value, value + "-2"} {
				r := request{action, resource, map[string]string{key: caller}}
				excepted := action == d.action && (hasOwner(d.policy) && resource == d.role.ARN() || !hasOwner(d.policy) && caller == value)
				assert.Equal(s, !excepted && r.deniedBy(d.statement), r.deniedBy(statements...), "%v by %v", r, statements)
			}
		}
	}
}
