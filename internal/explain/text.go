package explain

import (
	"strconv"
	"strings"
	"unicode"
)

// OneLine replaces each newline in text with "; " and every other non-printable character with a
// space. Newlines come from joined errors. Unverified claims can contain characters that move or hide
// others.
func OneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ReplaceAll(text, "\n", "; "))
}

// maxQuoted is the maximum number of bytes of an invalid value that an error quotes.
const maxQuoted = 100

// Quote returns text in quotes, truncated to 100 bytes.
func Quote(text string) string {
	if len(text) > maxQuoted {
		return strconv.Quote(text[:maxQuoted]) + "..."
	}
	return strconv.Quote(text)
}

// Shorten returns text from a server, truncated to 1 KiB.
func Shorten(text string) string {
	const most = 1 << 10
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "�") + "..."
}
