package explain

import "github.com/irsakit/irsakit/internal/lazyregexp"

// argument returns text derived from a claim for use as a command-line argument. Claims are
// unverified, so it returns "..." if text contains characters that a shell could interpret.
func argument(text string) string {
	if !plainArgument.MatchString(text) {
		return "..."
	}
	return text
}

var plainArgument = lazyregexp.New(`^[A-Za-z0-9._~/:=+@-]+$`)
