package manifests

import (
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testdata/mutations.txt describes its format.
func TestCheckReportsMutations(t *testing.T) {
	text, err := os.ReadFile("testdata/mutations.txt")
	require.NoError(t, err)
	var file string
	var good map[string]string
	for _, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n")[1:] {
		lines := strings.Split(block, "\n")
		if words := strings.Fields(lines[0]); words[0] == "FILE" {
			good, file = read(t, examples+words[1]+"/kubernetes"), words[2]
			require.NoError(t, check(good))
			continue
		}
		var texts [2][]string // old and new
		for _, line := range lines[1:] {
			i := strings.Index("-+", line[:1])
			texts[i] = append(texts[i], line[1:])
		}
		old := strings.Join(texts[0], "\n")
		require.Contains(t, good[file], old)
		broken := maps.Clone(good)
		broken[file] = strings.Replace(good[file], old, strings.Join(texts[1], "\n"), 1)
		assert.ErrorContains(t, check(broken), lines[0], block)
	}
	assert.ErrorContains(t, check(nil), "no pod")
}
