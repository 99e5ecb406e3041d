package diagnose

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPrintWrapsLinesBetweenWords(t *testing.T) {
	const link = "https://github.com/irsakit/irsakit/blob/main/TROUBLESHOOTING.md#token-permission"
	checks := []Check{
		{Name: "environment", Status: Passed, Detail: strings.Repeat("fine ", 30)},
		{Name: "audience", Status: Warned, Detail: "vault, and not sts.amazonaws.com", Advice: strings.Repeat("correct it ", 20), Link: link},
		{Name: "lifetime", Status: Skipped, Detail: "no token"},
		{Name: "token-permission", Status: Failed, Detail: strings.Repeat("permission denied ", 20), Advice: strings.Repeat("set securityContext.fsGroup ", 9) + `{"a":"` + strings.Repeat("x", 200) + `"}`, Link: link},
	}
	for _, width := range []int{0, 1, 40, 60, 80, 132} {
		for _, all := range []bool{false, true} {
			text := Print(checks, width, all)
			most := width
			if width == 0 {
				most = 80
			}
			most = max(most, 40)
			for line := range strings.Lines(text) {
				line = strings.TrimSuffix(line, "\n")
				indented := strings.TrimLeft(line, " ")
				assert.True(t, len(line) <= most || len(strings.Fields(indented)) <= 3 && strings.Contains(indented, "http") || !strings.Contains(indented, " "), "%d: %q", width, line)
				assert.Equal(t, strings.TrimRight(line, " "), line)
			}
			words := strings.Join(strings.Fields(text), " ")
			for _, c := range checks {
				if c.Status == Failed || c.Status == Warned {
					assert.Contains(t, words, strings.TrimSpace(c.Detail))
					assert.Contains(t, words, "fix: "+strings.TrimSpace(c.Advice)+" see "+link)
				} else {
					assert.Equal(t, all, strings.Contains(words, strings.TrimSpace(c.Detail)))
				}
			}
			assert.Less(t, strings.Index(text, "FAILED   token-permission"), strings.Index(text, "warned   audience"), "failures come first")
			assert.Contains(t, words, "1 check passed, 1 was skipped, because it does not apply")
			assert.Contains(t, words, "1 of 4 checks failed, 1 has a warning.")
		}
	}
	assert.Contains(t, Print(nil, 0, false), "No check failed.")
	assert.NotContains(t, Print(checks[:1], 0, false), "FAILED")
}
