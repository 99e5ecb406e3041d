package trustpolicy

import "strings"

// pattern is a string with wildcards.
type pattern []symbol

// symbol is a character of a pattern or a wildcard.
type symbol struct {
	character rune // if wildcard is 0
	wildcard  rune // * or ?; 0 for a character
}

// wild returns the pattern for text, with * and ? as wildcards.
func wild(text string) pattern {
	var p pattern
	for _, r := range text {
		if r == '*' || r == '?' {
			p = append(p, symbol{wildcard: r})
		} else {
			p = append(p, symbol{character: r})
		}
	}
	return p
}

// plain returns the pattern that matches only text.
func plain(text string) pattern {
	var p pattern
	for _, r := range text {
		p = append(p, symbol{character: r})
	}
	return p
}

// matches reports whether the pattern matches all of text. If the part after a * does not match, only
// that * is extended, never an earlier one. The number of steps is therefore at most the product of
// the two lengths.
func (p pattern) matches(text string) bool {
	characters := []rune(text)
	at, i := 0, 0      // positions in the pattern and in the text
	star, end := -1, 0 // the last *, and the end of the text it matches
	for i < len(characters) {
		switch {
		case at < len(p) && p[at].wildcard == '*':
			star, end = at, i
			at++
		case at < len(p) && p[at].fits(characters[i]):
			at++
			i++
		case star >= 0:
			end++
			at, i = star+1, end
		default:
			return false
		}
	}
	for at < len(p) && p[at].wildcard == '*' {
		at++
	}
	return at == len(p)
}

// fits reports whether the symbol matches character.
func (s symbol) fits(character rune) bool {
	return s.wildcard == '?' || s.wildcard == 0 && s.character == character
}

// filled returns a string that matches the pattern.
func (p pattern) filled() string {
	var b strings.Builder
	for _, s := range p {
		switch s.wildcard {
		case '*':
			b.WriteString(other)
		case '?':
			b.WriteByte('0')
		default:
			b.WriteRune(s.character)
		}
	}
	return b.String()
}

// components splits the pattern at colons into at most n components.
func (p pattern) components(n int) []pattern {
	var all []pattern
	from := 0
	for i, s := range p {
		if s.wildcard == 0 && s.character == ':' && len(all) < n-1 {
			all = append(all, p[from:i])
			from = i + 1
		}
	}
	return append(all, p[from:])
}
