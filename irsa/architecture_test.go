package irsa_test

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestArchitecturePageTestsExist checks that the tests named in docs/architecture.md exist.
func TestArchitecturePageTestsExist(t *testing.T) {
	page, err := os.ReadFile("../docs/architecture.md")
	require.NoError(t, err)

	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)(…?)`").FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(named), 15)
	tests := "\n"
	for _, directory := range []string{".", "../cache", "../tokenfile"} {
		files, err := filepath.Glob(filepath.Join(directory, "*_test.go"))
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

// importsOf returns the packages imported by the non-test files of a package, each with a file that
// imports it.
func importsOf(t *testing.T, name string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", name, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files, name)
	imports := map[string]string{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range parsed.Imports {
			imports[strings.Trim(spec.Path.Value, `"`)] = file
		}
	}
	return imports
}

// TestArchitectureImportsPointDownward checks that each package imports only packages that the table
// in docs/architecture.md lists below it.
func TestArchitectureImportsPointDownward(t *testing.T) {
	page, err := os.ReadFile("../docs/architecture.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(page), "| Package | Contents |")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	var packages []string
	for _, row := range regexp.MustCompile(`(?m)^\| \[([a-z/]+)\]`).FindAllStringSubmatch(table, -1) {
		packages = append(packages, row[1])
	}
	require.Greater(t, len(packages), 10)
	for i, name := range packages {
		for imported, file := range importsOf(t, name) {
			if ours, ok := strings.CutPrefix(imported, "github.com/irsakit/irsakit/"); ok {
				assert.Contains(t, packages[i+1:], ours, "imported by %s", file)
			}
		}
	}
}

func TestArchitectureConfigAndExplainDoNotAccessFiles(t *testing.T) {
	for _, name := range []string{"internal/config", "internal/explain"} {
		imports := importsOf(t, name)
		for _, forbidden := range []string{"os", "github.com/irsakit/irsakit/internal/regularfile"} {
			assert.NotContains(t, imports, forbidden)
		}
	}
}

// TestArchitectureExplainDoesNotUseNetwork checks that internal/explain uses only error types and
// constants from net and net/http.
func TestArchitectureExplainDoesNotUseNetwork(t *testing.T) {
	files, err := filepath.Glob("../internal/explain/*.go")
	require.NoError(t, err)
	allowed := map[string]bool{
		"net.DNSError": true, "net.OpError": true, "net.Error": true,
		"http.MaxBytesError": true, "http.ErrSchemeMismatch": true,
	}
	used := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, name := range regexp.MustCompile(`\b(?:net|http)\.[A-Z]\w+`).FindAllString(string(text), -1) {
			assert.True(t, allowed[name] || strings.HasPrefix(name, "http.Status"), "%s in %s", name, file)
			used++
		}
	}
	assert.Positive(t, used)
}

// A program that calls only New must not link the code of Diagnose. "go run" keeps the executable in the
// build cache, so that only the first run links it.
func TestArchitectureNewDoesNotLinkDiagnosis(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command")
	}
	program, err := exec.Command(tool, "run", "./testdata/newonly").Output()
	require.NoError(t, err)
	require.True(t, bytes.Contains(program, []byte("irsakit/internal/exchange.")))
	for _, name := range []string{"internal/diagnose", "internal/trustpolicy"} {
		assert.False(t, bytes.Contains(program, []byte("irsakit/"+name)), name)
	}
}
