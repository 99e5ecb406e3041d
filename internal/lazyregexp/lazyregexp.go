// Package lazyregexp compiles regular expressions on first use rather than at startup, so that
// programs do not compile expressions that they never use.
package lazyregexp

import (
	"regexp"
	"sync"
)

// Regexp is a [regexp.Regexp] that is compiled on first use. It is safe for concurrent use.
type Regexp struct {
	expr     string
	once     sync.Once
	compiled *regexp.Regexp
}

// New returns a Regexp for expr. If expr is invalid, the first use panics. New is simple enough to
// be inlined into a static initializer, so that the linker can drop an unused package variable.
func New(expr string) *Regexp { return &Regexp{expr: expr} }

func (r *Regexp) regexp() *regexp.Regexp {
	r.once.Do(func() { r.compiled = regexp.MustCompile(r.expr) })
	return r.compiled
}

// MatchString reports whether s contains a match.
func (r *Regexp) MatchString(s string) bool { return r.regexp().MatchString(s) }

// FindStringSubmatch returns the leftmost match in s and the matches of its subexpressions.
func (r *Regexp) FindStringSubmatch(s string) []string { return r.regexp().FindStringSubmatch(s) }

// FindStringSubmatchIndex returns the indexes of the leftmost match in s and of the matches of its
// subexpressions.
func (r *Regexp) FindStringSubmatchIndex(s string) []int {
	return r.regexp().FindStringSubmatchIndex(s)
}

// ReplaceAllString is like [regexp.Regexp.ReplaceAllString].
func (r *Regexp) ReplaceAllString(s, replacement string) string {
	return r.regexp().ReplaceAllString(s, replacement)
}
