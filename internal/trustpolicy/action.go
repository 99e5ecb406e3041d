package trustpolicy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// actions are those of a statement, or those it leaves out.
type actions struct {
	element  string // Action or NotAction
	written  []string
	patterns []pattern // in small letters
}

// A trust policy has actions of STS only. Their names are compared without regard
// to case, and may have wildcards ("IAM JSON policy elements: Action").
var (
	actionForm = regexp.MustCompile(`^(?i:sts):[A-Za-z0-9*?]+$`)
	askedForm  = regexp.MustCompile(`^(?i:sts):[A-Za-z0-9]+$`)
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

// The actions that IAM takes in a trust policy: "AssumeRole policy may only specify STS
// AssumeRole actions", and those that go with them.
func assumeActions() []string {
	return []string{
		"sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML",
		"sts:TagSession", "sts:SetSourceIdentity", "sts:SetContext",
	}
}

// checkAction refuses what IAM does not take. Whether it takes every wildcard is not
// documented.
func checkAction(element, action string) error {
	switch {
	case action == "*":
		return nil
	case !actionForm.MatchString(action):
		return fmt.Errorf("%q is not an action of STS, such as sts:AssumeRoleWithWebIdentity", action)
	}
	p := wild(strings.ToLower(action))
	if element == "Action" && !slices.ContainsFunc(assumeActions(), func(known string) bool { return p.matches(strings.ToLower(known)) }) {
		return fmt.Errorf("%q is not an action that a trust policy can have%s", action, suggestion(action, assumeActions()))
	}
	return nil
}

// match says whether the action that is asked for is one of them.
func (a actions) match(asked string) bool {
	if !askedForm.MatchString(asked) {
		return false
	}
	named := false
	for _, p := range a.patterns {
		named = named || p.matches(strings.ToLower(asked))
	}
	return named == (a.element == "Action")
}

// mismatch says why the action that is asked for is none of them.
func (a actions) mismatch(asked string) Mismatch {
	m := Mismatch{Element: a.element, Expected: slices.Clone(a.written), Found: []string{asked}}
	if asked == "sts:AssumeRoleWithWebIdentity" && a.element == "Action" && a.match("sts:AssumeRole") {
		m.Advice = "sts:AssumeRole is not enough: a web identity needs sts:AssumeRoleWithWebIdentity"
	}
	return m
}
