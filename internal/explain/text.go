package explain

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/irsakit/irsakit/internal/jwt"
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

// HideToken returns text, or a placeholder if it contains a token. A token can be set by mistake in
// place of its path, or in the wrong variable or option, and errors quote invalid settings.
func HideToken(text string) string {
	if jwt.ContainsToken(text) {
		return "[redacted]"
	}
	return text
}

// maxQuoted is the maximum number of bytes of an invalid value that an error quotes.
const maxQuoted = 100

// Quote returns text in quotes, truncated to 100 bytes, and with any token hidden.
func Quote(text string) string {
	text = HideToken(text)
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
