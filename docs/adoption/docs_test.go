package adoption_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The pages quote the code that the packages compile and test, so the quotes must match.
func TestPagesQuoteTheCode(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("*.md")
	require.NoError(t, err)
	quotes := 0
	for _, name := range pages {
		page, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, quote := range regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
			quotes++
			file := filepath.Join(strings.ReplaceAll(strings.TrimSuffix(name, ".md"), "-", ""), "credentials.go")
			code, err := os.ReadFile(file)
			require.NoError(t, err)
			if !strings.Contains(string(code), quote[1]) {
				t.Errorf("%s does not contain this block of %s:\n%s", file, name, quote[1])
			}
		}
	}
	assert.GreaterOrEqual(t, quotes, 4)
}
