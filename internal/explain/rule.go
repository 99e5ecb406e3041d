package explain

import (
	"errors"
	"slices"
	"strings"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/awserror"
)

// Advice describes how to fix a failure.
type Advice struct {
	Heading Heading
	Fix     string // what to do, in at most 80 characters
	Text    string // the full advice
}

// rule describes a cause of failures: how to recognize it and how to fix it. The first matching rule
// applies. In fix and text, words in braces are placeholders for facts; see [Facts.expand].
type rule struct {
	codes   []string         // error codes without the suffix "Exception"; nil for any
	phrases []string         // message parts, of which at least one must occur; nil for any
	only    setup            // limits the rule to one setup
	when    func(Facts) bool // if nil, always

	kind    error // the kind of a response with one of the codes; nil for any kind
	heading Heading
	fix     string
	text    string
	source  string // a document or public report that shows the codes and phrases
}

// setup distinguishes roles assumed with a web identity from those assumed in a role chain.
type setup int

const (
	anyRole         setup = iota
	webIdentityRole       // assumed with a web identity
	chained               // assumed with the credentials of another role
)

// rules returns the rules in order of precedence, beginning with the causes that override all others.
func rules() [][]rule {
	return [][]rule{firstCauses, policyRules, accessRules, clockRules, requestRules, tokenRules, tokenFileRules, serviceRules, networkRules, otherRules}
}

// find returns the first rule for which match returns true, or nil.
func find(match func(*rule) bool) *rule {
	for _, table := range rules() {
		for i := range table {
			if match(&table[i]) {
				return &table[i]
			}
		}
	}
	return nil
}

// answers reports whether the rule applies to a response with this code and message. Messages are
// compared case-insensitively.
func (r *rule) answers(code, message string, s setup) bool {
	return (r.only == anyRole || r.only == s) &&
		(r.codes == nil || awserror.Is(code, r.codes...)) &&
		(r.phrases == nil || slices.ContainsFunc(r.phrases, func(p string) bool { return strings.Contains(strings.ToLower(message), strings.ToLower(p)) }))
}

// applies reports whether the rule applies to a failure.
func (r *rule) applies(f Facts) bool {
	return (r.kind == nil || f.is(r.kind)) && r.answers(f.Code, f.text(), f.setup()) && (r.when == nil || r.when(f))
}

// For returns the advice for a failure, or the zero Advice if there is none.
func For(f Facts) Advice {
	if f.is(ErrNotConfigured) { // an endpoint of the application's STS client, checked when the request is sent
		return Setting(HeadingEndpoint, f)
	}
	r := find(func(r *rule) bool { return r.applies(f) })
	if r == nil {
		return Advice{}
	}
	return Advice{r.heading, f.expand(r.fix), f.expand(r.text)}
}

// Setting returns the advice for an invalid or missing setting. The facts contain its error.
func Setting(h Heading, f Facts) Advice {
	for _, r := range settingRules {
		if r.heading == h && r.answers("", f.text(), f.setup()) && (r.when == nil || r.when(f)) {
			return Advice{h, f.expand(r.fix), f.expand(r.text)}
		}
	}
	return Advice{Heading: h}
}

// Cache returns the advice for an error from the cache itself.
func Cache(err error) Advice {
	switch {
	case errors.Is(err, cache.ErrClosed):
		return Advice{HeadingClosed, "close it only after its last use", "close the Provider, or its Pool, only after its last use"}
	case errors.Is(err, cache.ErrMinTTL):
		return Advice{HeadingMinTTL, "lower MinTTL, or raise Options.Duration", "lower the minimum of MinTTL to at most 60% of the credentials' lifetime, or request a longer one with Options.Duration"}
	default:
		return Advice{}
	}
}
