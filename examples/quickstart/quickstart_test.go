package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testenv"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// TestMain runs the tests without the settings of the machine.
func TestMain(m *testing.M) {
	testenv.Clear()
	os.Exit(m.Run())
}

func TestDemoPrintsREADMEScreen(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, block, _ := strings.Cut(string(readme), "```text\n")
	block, _, found := strings.Cut(block, "```")
	require.True(t, found)
	synctest.Test(t, func(t *testing.T) {
		d, out := newTestDemo(t)
		start := time.Now()

		require.NoError(t, d.run(t.Context()), out)

		assert.Less(t, time.Since(start), 20*time.Second)
		assert.Equal(t, withoutMeasurements(block), withoutMeasurements(out.String()))
		for _, text := range []string{block, out.String()} {
			assertPlainLines(t, text)
			assertNoSecretOrAdvice(t, text)
		}
		assert.Zero(t, d.ours.total.failed)
		assert.Zero(t, d.ours.total.waits)
		assert.GreaterOrEqual(t, d.theirs.total.failed, numCallers)
		assert.GreaterOrEqual(t, d.theirs.total.waits, 2*numCallers, "at the refresh and in the outage")
	})
}

// withoutMeasurements returns a screen without measured values. The introduction contains none.
func withoutMeasurements(screen string) string {
	introduction, steps, _ := strings.Cut(screen, "\n1. ")
	for _, p := range [][2]string{
		{`ASIA…\w{4}`, "<key>"},
		{`\d\d:\d\d:\d\d`, "<time>"},
		{` *\d+(\.\d+)?(µ|m)?s\b`, " <duration>"},
		{` {2,}\d+`, " <number>"},
		{`\d+ (requests|failed|waited)`, "<number> $1"},
	} {
		steps = regexp.MustCompile(p[0]).ReplaceAllString(steps, p[1])
	}
	return introduction + steps
}

// assertPlainLines checks that lines are at most 60 columns wide and do not contain control
// characters.
func assertPlainLines(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 60, line)
		assert.NotContains(t, strings.ReplaceAll(line, "ASIA…", ""), "…", "a line was shortened")
	}
	assert.Equal(t, -1, strings.IndexFunc(text, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }), "%q", text)
}

// assertNoSecretOrAdvice checks that text does not contain a token, complete access key ID, session
// token, secret access key, advice or link.
func assertNoSecretOrAdvice(t *testing.T, text string) {
	t.Helper()
	for _, pattern := range []string{`eyJ`, `ASIA\w`, `IQoJ`, `[A-Za-z0-9+/]{40}`, `https?:`, `(?i)check the|; see`} {
		assert.NotRegexp(t, pattern, text)
	}
}

// output records what was written. If set, interrupt is called when the text at is written.
type output struct {
	mu        sync.Mutex
	text      bytes.Buffer
	at        string
	interrupt func()
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.interrupt != nil && strings.Contains(string(p), o.at) {
		o.interrupt()
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// newTestDemo returns an in-memory demo and its output.
func newTestDemo(t *testing.T, optFns ...func(*irsa.Options)) (*demo, *output) {
	t.Helper()
	kit, out := irsatest.New(t), &output{}
	ours, theirs := newPods(kit)
	screen := &screen{start: time.Now(), out: out}
	logger := func(o *irsa.Options) { o.Logger = slog.New(screen) }
	p, err := irsa.New(append([]func(*irsa.Options){ours.Options, logger}, optFns...)...)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, p.Close())
		time.Sleep(10 * time.Second) // the SDK's retries take at most seven seconds
	})
	return &demo{kit: kit, screen: screen, provider: p,
		ours:   &callers{name: "irsakit", pod: ours, credentials: p},
		theirs: &callers{name: "SDK", pod: theirs, credentials: newSDKProvider(theirs, sts.Options{HTTPClient: kit.HTTPClient()})},
	}, out
}

func TestDemoStopsWithContextInEveryStep(t *testing.T) {
	t.Parallel()
	for _, step := range []struct{ heading, name string }{
		{"1. ", "step 1: "}, {"2. ", "step 2: "}, {"3. ", "step 3: "}, {"4. ", "step 4: "},
		{"serving until", "step "}, {"5. ", "step 5: "},
	} {
		t.Run(step.heading, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, out := newTestDemo(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var interrupted time.Time
				out.at, out.interrupt = step.heading, func() { interrupted = time.Now(); cancel() }

				err := d.run(ctx)

				require.ErrorIs(t, err, context.Canceled)
				require.ErrorContains(t, err, step.name)
				assert.Less(t, time.Since(interrupted), time.Second)
				assert.NotContains(t, out.String(), "After the first credentials")
			})
		})
	}
}

// restoreEnvironment restores all AWS variables when the test ends.
func restoreEnvironment(t *testing.T) {
	t.Helper()
	ours, _ := newPods(irsatest.New(t))
	for _, variable := range append(ours.Environ(), os.Environ()...) {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, os.Getenv(name)) // also restores unset variables
		}
	}
}

func TestRunStopsWithContext(t *testing.T) {
	restoreEnvironment(t)
	dir, logger := t.TempDir(), slog.Default()
	t.Setenv("TMPDIR", dir)
	defer slog.SetDefault(logger)
	goroutines := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &output{at: "2. ", interrupt: cancel}

	err := run(ctx, out)

	var stderr bytes.Buffer
	assert.Equal(t, 130, exitCode(&stderr, err))
	assert.Equal(t, "quickstart: interrupted\n", stderr.String())
	assert.Contains(t, out.String(), "access key ASIA…")
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, files)
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+1 }, // plus 1 for the goroutine of Eventually
		time.Minute, 10*time.Millisecond, "goroutines leaked")
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	assert.Zero(t, exitCode(&stderr, nil))
	assert.Empty(t, stderr.String())
	assert.Equal(t, 1, exitCode(&stderr, errors.New("refresh: not seen")))
	assert.Equal(t, "quickstart: refresh: not seen\n", stderr.String())
}

func TestDemoCountsIrsakitFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, out := newTestDemo(t)
		out.at, out.interrupt = "2. ", func() {
			d.kit.STS.Fail(irsatest.Unavailable, -1)
			time.AfterFunc(2*firstLifetime, d.kit.STS.Recover)
		}

		require.NoError(t, d.run(t.Context()))
		assert.NotZero(t, d.ours.total.failed)
	})
}

func TestRounded(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 1234 * time.Nanosecond: "0s", 123 * time.Microsecond: "120µs", 9876 * time.Microsecond: "9.88ms",
		102345 * time.Microsecond: "102ms", 1023 * time.Millisecond: "1s", 2550 * time.Millisecond: "2.6s",
	} {
		assert.Equal(t, want, rounded(d))
	}
}
