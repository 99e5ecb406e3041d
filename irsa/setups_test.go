package irsa_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

var update = flag.Bool("update", false, "write the texts of testdata/setups anew")

// setup is a pod with a misconfiguration or failure.
type setup struct {
	name    string
	broken  string // the misconfiguration, as a sentence
	breaks  func(*broken)
	heading string // the heading of TROUBLESHOOTING.md that the error links to; "" if there is no error
	first   string // the first failed check of the report; "" if none fails
	warned  string // a check that warns; "" if none is expected
	sockets bool   // uses real sockets and therefore no bubble
}

// broken is the state that a setup can change.
type broken struct {
	*testing.T
	*irsatest.Cluster
	sa       *irsatest.ServiceAccount
	role     *irsatest.Role
	pod      *irsatest.Pod
	environ  []string              // KEY=value, overriding the webhook's
	options  []func(*irsa.Options) // the application's options
	document string                // a trust policy to check
	next     string                // a role that the pod's role assumes; empty for none
}

func (b *broken) set(change func(*irsa.Options)) { b.options = append(b.options, change) }

// without removes variables of the webhook.
func (b *broken) without(names ...string) {
	for _, name := range names {
		b.environ = append(b.environ, name+"=")
	}
}

func (b *broken) env(variables ...string) { b.environ = append(b.environ, variables...) }

const injectedRole, injectedToken = "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"

// issuerURL is fixed, so that the golden texts do not change.
const issuerURL = "https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"

func TestErrorAndDiagnoseGiveSameAdvice(t *testing.T) {
	names := map[string]bool{}
	for _, s := range slices.Concat(setups(), moreSetups(), chainSetups()) {
		require.False(t, names[s.name], s.name)
		names[s.name] = true
		t.Run(s.name, func(t *testing.T) {
			if s.sockets {
				s.check(t)
				return
			}
			synctest.Test(t, s.check)
		})
	}
	files, err := filepath.Glob("testdata/setups/*.txt")
	require.NoError(t, err)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		assert.True(t, names[name] || name == "permission", "%s is no set-up's", file)
	}
	assert.GreaterOrEqual(t, len(names), 35)
}

func (s setup) check(t *testing.T) {
	k := newCluster(t, func(o *irsatest.Options) { o.Loopback, o.IssuerURL = s.sockets, issuerURL })
	b := &broken{T: t, Cluster: k, sa: k.ServiceAccount("shop", "cart")}
	b.role = k.Role("s3-writer", irsatest.Trust(b.sa))
	b.pod = k.Pod(b.sa, b.role)
	s.breaks(b)
	b.pod.Setenv()
	if !s.sockets {
		t.Setenv("AWS_ENDPOINT_URL_STS", "") // the SDK's endpoints resolve to the kit
	}
	for _, variable := range b.environ {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	options := append([]func(*irsa.Options){func(o *irsa.Options) { o.HTTPClient = k.HTTPClient() }}, b.options...)

	attempt := retrieveOnce
	if s.sockets {
		attempt = refresh // does not retry in real time
	}
	failure := b.failure(attempt, options...)
	begin := time.Now()
	report := irsa.Diagnose(t.Context(), options...)
	assert.Less(t, time.Since(begin), 10*time.Second)
	if b.document != "" {
		report.CheckTrustPolicy([]byte(b.document))
	}
	s.requireLeadsToAdvice(t, failure, report)

	text := textOf(failure, report)
	requireNoSecret(t, text, strings.TrimPrefix(b.pod.Token(), "Bearer "))
	compare(t, s.name, "# "+s.broken+"\n\n"+b.constant(text))
}

func textOf(failure error, report *irsa.Report) string {
	text := "error:\n" + cmp.Or(errorText(failure), "none") + "\n"
	if e := (*irsa.Error)(nil); errors.As(failure, &e) {
		text += "\nadvice:\n" + e.Advice + "\n"
		_, cause, _ := strings.Cut(fmt.Sprintf("%+v", e), "\n    cause: ")
		cause, _, _ = strings.Cut(cause, "\n")
		text += "\ncause:\n" + cause + "\n"
	}
	return text + "\nreport:\n" + fmt.Sprintf("%+5000v", report)
}

// failure returns the error that an application receives, or nil.
func (b *broken) failure(attempt func(context.Context, *irsa.Provider) error, options ...func(*irsa.Options)) error {
	p, err := irsa.New(options...)
	if err != nil {
		return err
	}
	defer func() { assert.NoError(b, p.Close()) }()
	if b.next == "" {
		return attempt(b.Context(), p)
	}
	next, err := p.AssumeRole(b.next)
	require.NoError(b, err)
	return attempt(b.Context(), next)
}

func retrieveOnce(ctx context.Context, p *irsa.Provider) error {
	_, err := p.Retrieve(ctx)
	return err
}

func refresh(ctx context.Context, p *irsa.Provider) error { return p.Refresh(ctx) }

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (s setup) requireLeadsToAdvice(t *testing.T, failure error, report *irsa.Report) {
	t.Helper()
	first, links := "", ""
	for _, c := range report.Checks {
		if c.Status == "failed" && first == "" {
			first = c.Name
		}
		links += c.Link + "\n"
		assert.NotEmpty(t, c.Detail, c.Name)
		assert.NotContains(t, c.Detail+c.Advice, "\n")
		if c.Status == "failed" || c.Status == "warned" {
			assert.NotEmpty(t, c.Advice, c.Name)
			assert.NotContains(t, c.Detail, c.Advice, "the advice of %s repeats what is wrong", c.Name)
			assert.NotContains(t, c.Detail+c.Advice, "TROUBLESHOOTING", c.Name)
		}
		if c.Status == "failed" {
			assert.NotEmpty(t, c.Link, c.Name)
		}
		if c.Name == s.warned {
			assert.Equal(t, "warned", c.Status, c.Detail)
		}
	}
	assert.Equal(t, s.first, first, "%s", report)
	assert.Equal(t, s.first == "", report.OK())
	if s.heading == "" {
		assert.NoError(t, failure)
		return
	}
	var e *irsa.Error
	require.ErrorAs(t, failure, &e)
	assert.True(t, strings.HasSuffix(e.Link, "#"+s.heading), "%s: %v", e.Link, failure)
	requireShort(t, failure)
	if s.first != "trust-policy" && s.first != "" && s.heading != "region" {
		assert.Contains(t, links, "#"+s.heading+"\n", "the report links to it too")
	}
}

// requireShort checks the text of an error.
func requireShort(t *testing.T, err error) {
	t.Helper()
	var e *irsa.Error
	require.ErrorAs(t, err, &e)
	text := err.Error()
	assert.LessOrEqual(t, len(text), 300, text)
	assert.NotContains(t, text, "\n")
	assert.Equal(t, 1, strings.Count(text, "irsa: "), text)
	assert.Equal(t, 1, strings.Count(text, "https://github.com/irsakit"), text)
	assert.NotEmpty(t, e.Advice)
	assert.NotRegexp(t, `20[2-9]\d-\d\d-\d\d|127\.0\.0\.1|c6104cbe`, text)
	details := fmt.Sprintf("%+v", err)
	assert.Less(t, len(details), 4<<10)
	assert.Contains(t, details, text)
	assert.Contains(t, details, e.Link)
}

// constant replaces everything that varies between runs.
func (b *broken) constant(text string) string {
	text = strings.ReplaceAll(text, b.pod.Name(), "cart-7d9c4b5f6d-x2x7k")
	text = regexp.MustCompile(`/\S*/cart-7d9c4b5f6d-x2x7k`).ReplaceAllString(text, "/var/run/secrets")
	for expression, constant := range map[string]string{
		`127\.0\.0\.1:\d+(->127\.0\.0\.1:\d+)?`:        "127.0.0.1:PORT",
		`(198\.51\.100\.\d+:\d+->)?192\.0\.2\.\d+:443`: "192.0.2.1:443",
		`next attempt at \S+`:                          "next attempt at TIME",
		`20[2-9]\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`:          "TIME",      // the real clock's
		`(23h59m|59m)\d+s|24h0m0s|1h0m0s|-1m[01]s`:     "TIME",      // relative to the real clock
		`(stat|open) /\S*\.\.\.\S*`:                    "stat FILE", // in an error that is cut
		`: /\S*\.\.\.`:                                 ": FILE...", // the same
		`user \d+ and group \d+( \(and [\d ]+\))?`:     "user UID and group GID",
	} {
		text = regexp.MustCompile(expression).ReplaceAllString(text, constant)
	}
	return text
}

// requireNoSecret checks that text does not contain the token, any part of it, or any key.
func requireNoSecret(t *testing.T, text, token string) {
	t.Helper()
	token, _, _ = strings.Cut(token, " ") // ignore text that follows it in a log line
	for _, part := range append(strings.Split(token, "."), "eyJ", "IQoJb3JpZ2lu", "wJalrXUtnFEMI", "AKIAIOSFODNN7EXAMPLE") {
		if part != "" {
			require.NotContains(t, text, part)
		}
	}
	require.NotRegexp(t, `ASIA[A-Z0-9]{16}`, text)
}

// compare checks a text against the golden file with the given name. The text contains paths, modes and messages
// of the system, which differ on Windows.
func compare(t *testing.T, name, text string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return
	}
	file := filepath.Join("testdata", "setups", name+".txt")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), text)
}
