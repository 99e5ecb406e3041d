package irsa

import "strconv"

// maxQuoted is how much of an invalid value is shown.
const maxQuoted = 100

// quoted returns text in quotes, shortened if it is long.
func quoted(text string) string {
	if len(text) > maxQuoted {
		return strconv.Quote(text[:maxQuoted]) + "..."
	}
	return strconv.Quote(text)
}

// truncated returns text, shortened if it is longer than any valid value.
func truncated(text string) string {
	if len(text) > maxARN {
		return text[:maxQuoted] + "..."
	}
	return text
}
