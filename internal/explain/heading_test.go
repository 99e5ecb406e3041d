package explain

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// headings returns the constants of type Heading.
func headings(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "heading.go", nil, 0)
	require.NoError(t, err)
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == "Heading" {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			out = append(out, value)
		}
		return true
	})
	return out
}

func TestHeadingsMatchTroubleshootingPage(t *testing.T) {
	page, err := os.ReadFile("../../TROUBLESHOOTING.md")
	require.NoError(t, err)
	find := func(expression string) []string {
		var out []string
		for _, match := range regexp.MustCompile(expression).FindAllSubmatch(page, -1) {
			out = append(out, string(match[1]))
		}
		return out
	}
	written := find(`(?m)^## (.+)$`)
	require.Greater(t, len(written), 30)
	assert.ElementsMatch(t, headings(t), written)
	assert.Subset(t, find(`(?m)^\| .*\]\(#(.+)\) \|$`), []string{"access-denied", "not-injected"})
	linked := find(`\]\(#([a-z-]+)\)`)
	for _, heading := range written {
		assert.Contains(t, linked, heading, "the table links to each Heading")
		section := regexp.MustCompile(`(?s)\n## ` + heading + `\n(.*?)(\n## |\n# |$)`).FindSubmatch(page)
		for _, part := range []string{"**Symptom.**", "**Cause.**", "**Fix.**", "**Verify.**"} {
			assert.Contains(t, string(section[1]), part, heading)
		}
	}
	assert.Subset(t, written, linked, "all links have a heading")
}

func TestForHasAdviceForEveryKind(t *testing.T) {
	cause := assert.AnError
	for _, kind := range []error{ErrTokenFile, ErrTokenExpired, ErrTokenRejected, ErrAccessDenied, ErrThrottled, ErrUnavailable, ErrInvalidRequest, ErrRejected} {
		a := For(Facts{Kind: kind, Err: cause})
		assert.NotEmpty(t, a.Heading, kind)
		assert.NotEmpty(t, a.Text, kind)
	}
	assert.NotEmpty(t, Cache(ErrClosed).Text)
}
