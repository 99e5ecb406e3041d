package docs

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// faults returns the faults of all pages, with their places.
func (r *repository) faults() (faults []string) {
	for _, name := range slices.Sorted(maps.Keys(r.pages)) {
		p := r.pages[name]
		add := func(line int, found ...string) {
			for _, fault := range found {
				faults = append(faults, fmt.Sprintf("%s:%d: %s", name, line, fault))
			}
		}
		section := 0
		for i, line := range p.prose {
			add(i+1, r.checkLinks(p, line)...)
			add(i+1, r.checkCommands(line)...)
			if i+1 == len(p.prose) || strings.HasPrefix(p.prose[i+1], "#") {
				add(section+1, r.checkFigures(p, p.prose[section:i+1])...)
				section = i + 1
			}
		}
		for _, b := range p.blocks {
			switch {
			case b.language == "go":
				add(b.line, r.checkCode(b.code)...)
			case b.language == "json" && !json.Valid([]byte(strings.Join(b.code, "\n"))):
				add(b.line, "this is not JSON")
			default:
				for i, line := range b.code {
					add(b.line+i+1, r.checkCommands(line)...)
				}
			}
		}
	}
	return faults
}

func TestPagesHaveNoFaults(t *testing.T) {
	r, err := read(os.DirFS("../../.."))
	require.NoError(t, err)
	require.Greater(t, len(r.pages), 15)
	assert.Empty(t, r.faults())
}

// The repository in testdata has each kind of fault, next to similar lines without faults.
func TestFaultsAreFound(t *testing.T) {
	r, err := read(os.DirFS("testdata/repository"))
	require.NoError(t, err)
	want, err := os.ReadFile("testdata/faults.txt")
	require.NoError(t, err)
	assert.Equal(t, strings.FieldsFunc(string(want), func(r rune) bool { return r == '\n' || r == '\r' }), r.faults())
}
