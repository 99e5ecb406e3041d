package shop_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tests run the code that the page quotes, so the quotes must match.
func TestDocsQuoteTestFiles(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/testing.md")
	require.NoError(t, err)
	files := map[string]string{"go": "*/*_test.go", "json": "testing/testdata/*.json", "sh": "testing/testdata/*.sh"}
	quotes := regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$").FindAllStringSubmatch(string(page), -1)
	require.NotEmpty(t, quotes)
	for _, quote := range quotes {
		language, code := quote[1], quote[2]
		if pattern, ok := files[language]; assert.True(t, ok, "a block of %q:\n%s", language, code) {
			assert.True(t, occurs(t, pattern, code), "no %s contains this:\n%s", pattern, code)
		}
	}
}

// occurs reports whether any file that matches pattern contains text.
func occurs(t *testing.T, pattern, text string) bool {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", pattern))
	require.NoError(t, err)
	for _, name := range names {
		file, err := os.ReadFile(name)
		require.NoError(t, err)
		if strings.Contains(string(file), text) {
			return true
		}
	}
	return false
}
