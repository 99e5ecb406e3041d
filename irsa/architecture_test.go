package irsa_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestArchitecturePageLinksExist checks that the files and tests that docs/architecture.md names
// exist.
func TestArchitecturePageLinksExist(t *testing.T) {
	page, err := os.ReadFile("../docs/architecture.md")
	require.NoError(t, err)

	links := regexp.MustCompile(`\]\((\.\./[^)#]+)\)`).FindAllStringSubmatch(string(page), -1)
	require.NotEmpty(t, links)
	for _, link := range links {
		_, err := os.Stat(filepath.Join("../docs", link[1]))
		assert.NoError(t, err)
	}

	sections, err := os.ReadFile("../docs/performance.md")
	require.NoError(t, err)
	anchors := regexp.MustCompile(`\]\(performance\.md#([^)]+)\)`).FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(anchors), 5)
	for _, anchor := range anchors {
		heading := "(?i)\n## " + strings.ReplaceAll(regexp.QuoteMeta(anchor[1]), "-", " ") + "\n"
		assert.Regexp(t, heading, string(sections))
	}

	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)(…?)`").FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(named), 15)
	tests := "\n"
	for _, folder := range []string{".", "../cache", "../tokenfile"} {
		files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			tests += string(text)
		}
	}
	for _, name := range named {
		want := "\nfunc " + name[1]
		if name[2] == "" {
			want += "("
		}
		assert.Regexp(t, regexp.QuoteMeta(want), tests)
	}
}
