package irsa_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
)

// textsOf returns the texts that users see for each section of TROUBLESHOOTING.md, from the setups
// that link to it.
func textsOf(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/setups/*.txt")
	require.NoError(t, err)
	require.Greater(t, len(files), 100)
	texts := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, link := range regexp.MustCompile(`TROUBLESHOOTING\.md#([a-z-]+)`).FindAllStringSubmatch(string(content), -1) {
			texts[link[1]] += string(content)
		}
	}
	return texts
}

// TestTroubleshootingSymptomsArePrinted checks that each symptom of TROUBLESHOOTING.md is printed by a
// setup that links to its section. Symptoms in italics are printed by other programs.
func TestTroubleshootingSymptomsArePrinted(t *testing.T) {
	texts := textsOf(t)
	synctest.Test(t, func(t *testing.T) {
		_, pod := newPod(t)
		p := newProvider(t, pod.Options)
		_, err := p.MinTTL(50 * time.Minute).Retrieve(t.Context())
		texts["min-ttl"] += fmt.Sprintf("%+v", err)
		require.NoError(t, p.Close())
		_, err = p.Retrieve(t.Context())
		texts["closed"] += fmt.Sprintf("%+v", err)
		pool := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles = 1 })
		retrieve(t, pooled(t, pool, irsa.RoleOptions{}))
		_, err = pool.Provider(irsa.RoleOptions{Tenant: "other", SessionName: "other"})
		texts["pool-full"] += fmt.Sprintf("%+v", err)
	})
	page, err := os.ReadFile("../TROUBLESHOOTING.md")
	require.NoError(t, err)
	checked := 0
	check := func(sections [][]string, symptoms string) {
		var printed strings.Builder
		for _, section := range sections {
			printed.WriteString(texts[section[1]])
		}
		for _, symptom := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(symptoms, -1) {
			for part := range strings.SplitSeq(symptom[1], "…") {
				assert.Contains(t, printed.String(), strings.TrimSpace(part), "%v: %s", sections, symptom[1])
				checked++
			}
		}
	}
	anchor := regexp.MustCompile(`\]\(#([a-z-]+)\)`)
	for _, row := range regexp.MustCompile(`(?m)^\| (.+) \| (\[.+\]\(#.+\)) \|$`).FindAllStringSubmatch(string(page), -1) {
		check(anchor.FindAllStringSubmatch(row[2], -1), row[1])
	}
	assert.Greater(t, checked, 80)
}
