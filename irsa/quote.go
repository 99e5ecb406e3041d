package irsa

import "strconv"

// maxQuoted is the maximum number of bytes of an invalid value that an error contains.
const maxQuoted = 100

// quoted returns text in quotes, shortened to maxQuoted bytes.
func quoted(text string) string {
	if len(text) > maxQuoted {
		return strconv.Quote(text[:maxQuoted]) + "..."
	}
	return strconv.Quote(text)
}

// truncated returns text, shortened to maxQuoted bytes if it exceeds maxARN.
func truncated(text string) string {
	if len(text) > maxARN {
		return text[:maxQuoted] + "..."
	}
	return text
}
