//go:build unix

package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "update the report in README.md")

// The report contains paths and modes, which are different on Windows.
func TestREADMEShowsOutput(t *testing.T) {
	_, role := setPod(t)
	policy := strings.Replace(role.TrustPolicy(), "shop:cart", "shop:*", 1)
	role.SetTrustPolicy(policy)
	file := filepath.Join(t.TempDir(), "policy.json")
	require.NoError(t, os.WriteFile(file, []byte(policy), 0o600))
	_, out, _ := doctor(t, "-trust-policy", file)

	// Replace the parts that vary between runs.
	for _, c := range [][2]string{
		{`/\S*/(cart-\w+-\w+)/`, "/var/run/secrets/"},
		{`cart-\w{10}-\w{5}`, "cart-7d9c4b5f6d-x2x7k"},
		{`until 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`, "until 2026-11-25T07:39:22Z"},
		{`at 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`, "at 2026-11-25T02:51:22Z"},
		{`23h59m\d+s|24h0m0s`, "23h59m59s"},
		{`user \d+ and group \d+( \(and [\d ]+\))?`, "user 65532 and group 65532"},
		{`127\.0\.0\.1:\d+`, "127.0.0.1:46233"},
	} {
		out = regexp.MustCompile(c[0]).ReplaceAllString(out, c[1])
	}
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	if *update {
		block := regexp.MustCompile("(?s)```text\n.*?```")
		readme = block.ReplaceAllLiteral(readme, []byte("```text\n"+out+"```"))
		require.NoError(t, os.WriteFile("README.md", readme, 0o600))
	}
	assert.Contains(t, string(readme), "```text\n"+out+"```")
}
