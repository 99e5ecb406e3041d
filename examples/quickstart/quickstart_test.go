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
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

func TestDemoPrintsAllStepsAsPlainText(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, out := newDemo(t)
		d.lifetime, d.timeout = lifetime, timeout

		require.NoError(t, d.run(t.Context()), out)

		assertAllSteps(t, out.received())
	})
}

// assertAllSteps asserts that text describes all steps with their results, in order.
func assertAllSteps(t *testing.T, text string) {
	t.Helper()
	rest := text
	for _, pattern := range []string{
		`▸ 8 callers ask`,
		`✓ First credentials: …\w{4}\. All callers waited \S+ for one call\.`,
		`✓ Refreshed in the background: …\w{4}\. No call took longer than \S+\.`,
		`▸ The kubelet rotates the token\. STS last saw [0-9a-f]{8}\.`,
		`✓ Refreshed: …\w{4}\. STS saw the new token, [0-9a-f]{8}\.`,
		`▸ STS is down\.`,
		`WARN credentials refresh failed`,
		`error: irsa: STS unavailable`,
		`✓ A refresh failed\. No caller noticed: \d+ calls meanwhile, no error\.`,
		`▸ STS is up again\.`,
		`INFO credentials refresh recovered`,
		`✓ Recovered: …\w{4}\.`,
		`What 8 callers saw in \d+(\.\d)?s:`,
		`calls +\d{4,}`,
		`errors +0\n`,
		`different credentials +4\n`,
		`STS calls answered +4 `,
	} {
		part := regexp.MustCompile(pattern).FindString(rest)
		require.NotEmpty(t, part, "%s is missing or out of order in:\n%s", pattern, text)
		_, rest, _ = strings.Cut(rest, part)
	}
	for line := range strings.Lines(text) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSpace(line)), width, line)
	}
	assert.Equal(t, -1, strings.IndexFunc(text, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }), "%q", text)
	assertNoSecret(t, text)
}

// assertNoSecret asserts that text contains no web identity token, access key ID or session
// token and, outside of URLs, no secret access key.
func assertNoSecret(t *testing.T, text string) {
	t.Helper()
	rest := regexp.MustCompile(`https?://\S+`).ReplaceAllString(text, "")
	assert.NotRegexp(t, `eyJ`, text)
	assert.NotRegexp(t, `ASIA`, text)
	assert.NotRegexp(t, `IQoJ`, text)
	assert.NotRegexp(t, `[A-Za-z0-9+/]{40}`, rest)
}

// restoreEnvironment undoes all changes to AWS variables when the test ends.
func restoreEnvironment(t *testing.T) {
	t.Helper()
	saved := awsVariables()
	t.Cleanup(func() {
		for name := range awsVariables() {
			require.NoError(t, os.Unsetenv(name))
		}
		for name, value := range saved {
			require.NoError(t, os.Setenv(name, value))
		}
	})
}

func awsVariables() map[string]string {
	all := map[string]string{}
	for _, variable := range os.Environ() {
		if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			all[name] = value
		}
	}
	return all
}

func TestRunStopsWithContext(t *testing.T) {
	restoreEnvironment(t)
	goroutines := runtime.NumGoroutine()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	out := &interrupter{at: "✓ First credentials", interrupt: func() { cancel(errInterrupted) }}

	err := run(ctx, out, lifetime)

	require.ErrorIs(t, err, errInterrupted)
	require.ErrorContains(t, err, "background refresh: ")
	assert.NotContains(t, out.text.String(), "What 8 callers saw")
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+1 }, // 1 for the goroutine of Eventually
		time.Minute, 10*time.Millisecond, "goroutines leaked")
}

var errInterrupted = errors.New("interrupted")

// interrupter is an output that interrupts the demo when the text at is written.
type interrupter struct {
	text      bytes.Buffer
	at        string
	interrupt func()
}

func (i *interrupter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), i.at) {
		i.interrupt()
	}
	return i.text.Write(p)
}

// newDemo returns a demo in its own cluster, in memory, and the terminal it prints to. It has
// a short timeout. Call startCallers to start its callers.
func newDemo(t *testing.T, optFns ...func(*irsa.Options)) (*demo, *terminal) {
	t.Helper()
	kit := irsatest.New(t)
	cart := kit.ServiceAccount("shop", "cart")
	pod := kit.Pod(cart, kit.Role("s3-writer", irsatest.Trust(cart)))

	var out terminal
	screen := newScreen(&out, view{})
	log := newLogHandler(screen)
	p, err := irsa.New(append([]func(*irsa.Options){pod.Options, func(o *irsa.Options) { o.Logger = slog.New(log) }}, optFns...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return &demo{
		kit: kit, pod: pod, provider: p, timeout: 2 * time.Second,
		callers: &callers{credentials: p},
		log:     log, screen: screen,
	}, &out
}

// startCallers runs the callers until the test ends, and waits until all have credentials
// with the given lifetime. A lifetime of 0 means one hour.
func (d *demo) startCallers(t *testing.T, lifetime time.Duration) {
	t.Helper()
	d.kit.STS.SetLifetime(lifetime)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.callers.run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	require.NoError(t, d.waitFor(ctx, "credentials", func() bool { return d.callers.stats().served == numCallers }))
}

// shortLifetime is a lifetime of credentials that requires a refresh within one second.
const shortLifetime = 1200 * time.Millisecond

func TestStepsFailOnMissingResult(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lifetime time.Duration
		prepare  func(*demo)
		step     func(*demo, context.Context) error
		want     string
	}{
		"no refresh": {
			prepare: func(d *demo) { d.timeout = 300 * time.Millisecond },
			step:    (*demo).backgroundRefresh,
			want:    "not seen within 300ms: new credentials",
		},
		"no failure during the outage": {
			prepare: func(d *demo) { d.timeout = 300 * time.Millisecond },
			step:    (*demo).outage,
			want:    "not seen within 300ms: a refresh that fails, with a warning in the log",
		},
		"no recovery": {
			prepare: func(d *demo) {
				d.timeout = time.Second
				d.kit.STS.Fail(irsatest.Unavailable, -1) // not cleared by Up
				_ = d.provider.Refresh(context.Background())
			},
			step: (*demo).recovery,
			want: "not seen within 1s: new credentials",
		},
		"outage beyond the credentials' expiry": {
			lifetime: shortLifetime,
			prepare:  func(d *demo) { d.kit.STS.Down() },
			step:     (*demo).backgroundRefresh,
			want:     "a caller got an error: irsa: STS unavailable",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, out := newDemo(t)
				d.startCallers(t, c.lifetime)
				c.prepare(d)

				err := c.step(d, t.Context())

				require.ErrorContains(t, err, c.want)
				assert.NotContains(t, out.received(), "✓")
			})
		})
	}
}

func TestDemoFailsWithoutFirstCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, out := newDemo(t)
		d.timeout = 300 * time.Millisecond
		d.kit.STS.Down()

		err := d.run(t.Context())

		require.EqualError(t, err, "first credentials: not seen within 300ms: credentials for every caller")
		assert.NotContains(t, out.received(), "✓")
	})
}

func TestFirstCredentialsFailsOnMultipleSTSCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, out := newDemo(t)
		d.kit.STS.Fail(irsatest.Unavailable, 1)
		d.startCallers(t, 0)

		err := d.firstCredentials(t.Context())

		require.EqualError(t, err, "there were 2 STS calls, not one for all callers")
		assert.NotContains(t, out.received(), "✓")
	})
}

func TestTokenRotationFailsOnOldToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, out := newDemo(t, func(o *irsa.Options) {
			token, err := tokenfile.Read(o.TokenFile)
			require.NoError(t, err)
			o.TokenFile, o.Token = "", fixedToken(token)
		})
		d.startCallers(t, shortLifetime)

		err := d.tokenRotation(t.Context())

		require.EqualError(t, err, "the next exchange still used the old token")
		assert.NotContains(t, out.received(), "✓")
	})
}

// fixedToken is a token source that returns the same token even after a rotation.
type fixedToken tokenfile.Token

func (fixedToken) Identity() string { return "shop/cart" }

func (f fixedToken) Token(context.Context) (tokenfile.Token, error) { return tokenfile.Token(f), nil }

func TestStatsReportErrorsAndWaits(t *testing.T) {
	t.Parallel()
	var s stats
	require.NoError(t, s.check())

	slow := &callers{}
	slow.record(true, time.Second, "ASIAEXAMPLE1", nil)
	require.NoError(t, slow.stats().check(), "the first calls may wait")
	slow.record(false, latency-1, "ASIAEXAMPLE1", nil)
	require.NoError(t, slow.stats().check())
	slow.record(false, latency, "ASIAEXAMPLE1", nil)
	require.EqualError(t, slow.stats().check(), "a caller waited 250ms, as long as for STS")

	expired := &callers{credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "ASIAEXAMPLE1", Expires: time.Now().Add(-time.Minute)}, nil
	})}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	expired.run(ctx)
	require.ErrorContains(t, expired.stats().check(), "a caller got an error: the credentials expired ")
}

func TestCallersCountCredentialsOnce(t *testing.T) {
	t.Parallel()
	c := &callers{}
	for _, id := range []string{"ASIAEXAMPLEAAAA", "ASIAEXAMPLEBBBB", "ASIAEXAMPLEAAAA"} {
		c.record(false, 0, id, nil)
	}
	assert.Equal(t, 2, c.stats().distinct)
	assert.Equal(t, "…BBBB", c.stats().key, "a late call with old credentials changes nothing")
}
