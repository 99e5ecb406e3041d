package irsa

import "strconv"

// longestQuoted is how much of a value that is not valid is shown.
const longestQuoted = 100

// quoted returns text in quotes, shortened if it is long.
func quoted(text string) string {
	if len(text) > longestQuoted {
		return strconv.Quote(text[:longestQuoted]) + "..."
	}
	return strconv.Quote(text)
}
