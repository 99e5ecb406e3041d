package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testenv"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// TestMain runs the tests without the settings of the machine.
func TestMain(m *testing.M) {
	testenv.Clear()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// setPod sets the environment of a pod whose role trusts its service account.
func setPod(t *testing.T) (*irsatest.Cluster, *irsatest.Role) {
	t.Helper()
	k := irsatest.New(t, func(o *irsatest.Options) {
		o.Loopback, o.IssuerURL = true, "https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
	})
	sa := k.ServiceAccount("shop", "cart")
	role := k.Role("s3-writer", irsatest.Trust(sa))
	k.Pod(sa, role).Setenv()
	return k, role
}

func doctor(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestDoctorExits0WhenAllChecksPass(t *testing.T) {
	setPod(t)
	code, out, errs := doctor(t, "-v")
	assert.Equal(t, 0, code, out)
	assert.Empty(t, errs)
	assert.Contains(t, out, "passed   exchange")
	assert.Contains(t, out, "arn:aws:sts::111122223333:assumed-role/s3-writer/shop.cart.")
	assert.Contains(t, out, "\nNo check failed. ")
	assert.NotContains(t, out, "\x1b", "color is for terminals only")
}

func TestDoctorExits1WhenCheckFails(t *testing.T) {
	k, _ := setPod(t)
	k.Role("s3-writer") // without a trust policy
	code, out, errs := doctor(t)
	assert.Equal(t, 1, code)
	assert.Empty(t, errs)
	assert.Contains(t, out, "FAILED   exchange\n         AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity")
	assert.Contains(t, out, "IRSA (IAM Roles for Service Accounts)")
	assert.NotContains(t, out, "passed   ")
	assert.Contains(t, out, `"Action":"sts:AssumeRoleWithWebIdentity"`)
	assert.Contains(t, out, "1 of 20 checks failed.")
}

func TestDoctorAcceptsInsecureEndpointWithFlag(t *testing.T) {
	setPod(t)
	t.Setenv("AWS_ENDPOINT_URL_STS", "http://sts.invalid")
	_, out, _ := doctor(t)
	assert.Contains(t, out, "FAILED   endpoint")
	assert.Contains(t, out, "Options.InsecureEndpoint")
	_, out, _ = doctor(t, "-v", "-insecure-endpoint")
	assert.Contains(t, out, "passed   endpoint")
}

func TestDoctorExits0AfterHelp(t *testing.T) {
	code, out, errs := doctor(t, "-h")
	assert.Equal(t, 0, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, "-trust-policy")
}

func TestDoctorExits2OnUsageError(t *testing.T) {
	long := filepath.Join(t.TempDir(), "long.json")
	require.NoError(t, os.WriteFile(long, bytes.Repeat([]byte(" "), 64<<10+1), 0o600))
	write := func(name, text string) string {
		file := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	for want, args := range map[string][]string{
		"it is empty":                   {"-trust-policy", write("empty.json", "\n")},
		"it is not UTF-8":               {"-trust-policy", write("utf16.json", "\xff\xfe{\x00}\x00")},
		"flag provided but not defined": {"-xml"},
		"unexpected argument":           {"now"},
		"the name of the file is empty": {"-trust-policy", ""}, // the value of an unset variable
		"none.json":                     {"-trust-policy", filepath.Join(t.TempDir(), "none.json")},
		"it is longer than 64 KiB":      {"-trust-policy", long},
	} {
		code, out, errs := doctor(t, args...)
		assert.Equal(t, 2, code, args)
		assert.Empty(t, out)
		assert.Contains(t, errs, want)
	}
}

func TestReadPolicyStopsOnSignal(t *testing.T) {
	stdin, open := io.Pipe()
	defer func() { _ = open.Close() }()
	ctx, signal := context.WithCancel(t.Context())
	signal()
	_, err := readPolicy(ctx, "-", stdin)
	require.ErrorIs(t, err, context.Canceled)
}

func TestDoctorEvaluatesTrustPolicy(t *testing.T) {
	_, role := setPod(t)
	file := filepath.Join(t.TempDir(), "policy.json")
	write := func(policy string) { require.NoError(t, os.WriteFile(file, []byte(policy), 0o600)) }

	write(role.TrustPolicy())
	code, out, _ := doctor(t, "-v", "-trust-policy", file)
	assert.Equal(t, 0, code, out)
	assert.Contains(t, out, "passed   trust-policy       allowed by statement 1\n")

	write("\ufeff" + role.TrustPolicy()) // as written by PowerShell
	code, out, _ = doctor(t, "-v", "-trust-policy", file)
	assert.Equal(t, 0, code, out)
	assert.Contains(t, out, "passed   trust-policy       allowed by statement 1\n")

	write(strings.ReplaceAll(role.TrustPolicy(), "StringEquals", "StringNotEquals"))
	code, out, _ = doctor(t, "-trust-policy", file)
	assert.Equal(t, 0, code, "the exchange passes")
	assert.Contains(t, out, "warned   trust-policy")

	role.SetTrustPolicy(strings.Replace(role.TrustPolicy(), "shop:cart", "shop:*", 1))
	write(role.TrustPolicy())
	code, out, _ = doctor(t, "-trust-policy", file)
	assert.Equal(t, 1, code)
	assert.Contains(t, strings.Join(strings.Fields(out), " "), "(StringEquals does not treat * as a wildcard: use StringLike)")
}

func TestDoctorPrintsReportAsJSON(t *testing.T) {
	k, _ := setPod(t)
	k.Role("s3-writer")
	code, out, _ := doctor(t, "-json")
	assert.Equal(t, 1, code)
	var report struct {
		OK     bool
		Checks []irsa.Check
	}
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	assert.False(t, report.OK)
	failed := 0
	for _, c := range report.Checks {
		if c.Status == "failed" {
			failed++
			assert.Equal(t, "exchange", c.Name)
			assert.NotEmpty(t, c.Advice)
			assert.NotEmpty(t, c.Link)
		}
	}
	assert.Equal(t, 1, failed)
}

// TestDoctorWrapsLinesAtTerminalWidth checks that lines fit into a terminal of 80 columns, except for
// longer words.
func TestDoctorWrapsLinesAtTerminalWidth(t *testing.T) {
	for _, args := range [][]string{nil, {"-v"}} {
		code, out, _ := doctor(t, args...) // without IRSA
		assert.Equal(t, 1, code)
		for line := range strings.Lines(out) {
			if words := strings.Fields(line); len(words) > 2 {
				assert.LessOrEqual(t, len(strings.TrimSuffix(line, "\n")), 80, line)
			}
		}
		assert.Contains(t, out, "fix: ")
	}
	code, out, _ := doctor(t)
	assert.Equal(t, 1, code)
	assert.LessOrEqual(t, strings.Count(out, "\n"), 24, "it fits a screen: %s", out)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	assert.LessOrEqual(t, len(lines[len(lines)-1]), 40, "it is not wrapped on the narrowest terminal")
}

func TestColorizeColorsFirstWordOfLine(t *testing.T) {
	assert.Equal(t, "\x1b[32mpassed\x1b[0m   role  it passed\n\x1b[1;31mFAILED\x1b[0m   token  x\n           see passed\n",
		colorize("passed   role  it passed\nFAILED   token  x\n           see passed\n"))
}

func TestPodManifestGrantsOnlyTokenAccess(t *testing.T) {
	file, err := os.ReadFile("pod.yaml")
	require.NoError(t, err)
	for _, want := range []string{"serviceAccountName: cart", "runAsNonRoot: true", "fsGroup: 65532", "readOnlyRootFilesystem: true", "drop: [ALL]"} {
		assert.Contains(t, string(file), want)
	}
}
