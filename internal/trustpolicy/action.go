package trustpolicy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/irsakit/irsakit/internal/lazyregexp"
)

// actions holds the actions of a statement, or the actions that NotAction excludes.
type actions struct {
	element  string // Action or NotAction
	written  []string
	patterns []pattern // in lower case
}

// A trust policy contains only STS actions. Their names are case-insensitive and may contain
// wildcards ("IAM JSON policy elements: Action").
var (
	actionForm    = lazyregexp.New(`^(?i:sts):[A-Za-z0-9*?]+$`)
	requestedForm = lazyregexp.New(`^(?i:sts):[A-Za-z0-9]+$`)
)

func parseActions(element string, value any) (actions, error) {
	written, err := texts(value)
	if err != nil {
		return actions{}, err
	}
	a := actions{element: element, written: written}
	for _, action := range written {
		if err := checkAction(element, action); err != nil {
			return actions{}, err
		}
		a.patterns = append(a.patterns, wild(strings.ToLower(action)))
	}
	return a, nil
}

// assumeActions returns the actions that IAM accepts in a trust policy: the AssumeRole actions
// ("AssumeRole policy may only specify STS AssumeRole actions") and those that accompany them.
func assumeActions() []string {
	return []string{
		"sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML",
		"sts:TagSession", "sts:SetSourceIdentity", "sts:SetContext",
	}
}

// checkAction rejects an action that IAM does not accept. IAM's documentation does not say whether it
// accepts every wildcard.
func checkAction(element, action string) error {
	switch {
	case action == "*":
		return nil
	case !actionForm.MatchString(action):
		return fmt.Errorf("%q is not an action of STS, such as sts:AssumeRoleWithWebIdentity", action)
	}
	p := wild(strings.ToLower(action))
	if element == "Action" && !slices.ContainsFunc(assumeActions(), func(known string) bool { return p.matches(strings.ToLower(known)) }) {
		return fmt.Errorf("%q is not allowed in a trust policy%s", action, suggestion(action, assumeActions()))
	}
	return nil
}

// match reports whether the statement applies to the requested action.
func (a actions) match(requested string) bool {
	if !requestedForm.MatchString(requested) {
		return false
	}
	named := false
	for _, p := range a.patterns {
		named = named || p.matches(strings.ToLower(requested))
	}
	return named == (a.element == "Action")
}

// mismatch explains why the statement does not apply to the requested action.
func (a actions) mismatch(requested string) Mismatch {
	m := Mismatch{Element: a.element, Expected: slices.Clone(a.written), Found: []string{requested}}
	switch {
	case a.element != "Action":
	case requested == actionWebIdentity && a.match(actionAssumeRole):
		m.Advice = "sts:AssumeRole is not enough: a web identity needs sts:AssumeRoleWithWebIdentity"
	case requested == actionTags:
		m.Advice = "the session has tags"
	case requested == actionIdentity:
		m.Advice = "the session has a source identity"
	}
	return m
}
