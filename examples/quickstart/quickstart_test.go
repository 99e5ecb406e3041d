package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/testsize"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

func TestTheShowHappensAndIsPlainText(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer

	require.NoError(t, run(t.Context(), &out, time.Duration(testsize.Choose(3, 4, 4))*time.Second), "%s", &out)

	text := out.String()
	rest := text
	for _, claim := range []string{
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
		part := regexp.MustCompile(claim).FindString(rest)
		require.NotEmpty(t, part, "%s is missing, or not in its place, in:\n%s", claim, text)
		_, rest, _ = strings.Cut(rest, part)
	}
	for line := range strings.Lines(text) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSpace(line)), width, line)
	}
	assert.Equal(t, -1, strings.IndexFunc(text, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }), "%q", text)
	assertNoSecret(t, text)
}

// assertNoSecret finds web identity tokens, access key IDs, session tokens and, in
// what is not a URL, secret access keys.
func assertNoSecret(t *testing.T, text string) {
	t.Helper()
	rest := regexp.MustCompile(`https?://\S+`).ReplaceAllString(text, "")
	assert.NotRegexp(t, `eyJ`, text)
	assert.NotRegexp(t, `ASIA`, text)
	assert.NotRegexp(t, `IQoJ`, text)
	assert.NotRegexp(t, `[A-Za-z0-9+/]{40}`, rest)
}

func TestTheShowEndsWithItsContext(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	out := &interrupter{at: "✓ First credentials", interrupt: func() { cancel(errInterrupted) }}

	err := run(ctx, out, life)

	require.ErrorIs(t, err, errInterrupted)
	require.ErrorContains(t, err, "background refresh: ")
	assert.NotContains(t, out.text.String(), "What 8 callers saw")
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+1 }, // Eventually's own
		time.Minute, 10*time.Millisecond, "goroutines are left behind")
}

var errInterrupted = errors.New("interrupted")

// interrupter is an output that interrupts the show when it reads some text.
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

// newShow returns a show in a cluster of its own, with little patience, and what it
// shows. Its callers ask from ask on.
func newShow(t *testing.T, optFns ...func(*irsa.Options)) (*show, *terminal) {
	t.Helper()
	kit, err := irsatest.Start()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, kit.Close()) })
	cart := kit.ServiceAccount("shop", "cart")
	pod := kit.Pod(cart, kit.Role("s3-writer", irsatest.Trust(cart)))

	var out terminal
	screen := newScreen(&out, view{})
	log := newJournal(screen)
	p, err := irsa.New(append([]func(*irsa.Options){pod.Options, func(o *irsa.Options) { o.Logger = slog.New(log) }}, optFns...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return &show{
		kit: kit, pod: pod, provider: p, patience: 2 * time.Second,
		callers: &callers{credentials: p},
		log:     log, screen: screen,
	}, &out
}

// ask lets the show's callers ask until the test ends. They have credentials by then
// that live so long; 0 is an hour.
func (s *show) ask(t *testing.T, life time.Duration) {
	t.Helper()
	s.kit.STS.SetLife(life)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.callers.ask(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	require.NoError(t, s.until(ctx, "credentials", func() bool { return s.callers.seen().served == crowd }))
}

// A life of credentials so short that they need a refresh within a second.
const brief = 1200 * time.Millisecond

func TestWhatDoesNotHappenFailsTheShow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		life  time.Duration
		spoil func(*show)
		scene func(*show, context.Context) error
		want  string
	}{
		"no refresh": {
			spoil: func(s *show) { s.patience = 300 * time.Millisecond },
			scene: (*show).backgroundRefresh,
			want:  "not seen within 300ms: new credentials",
		},
		"no failure in the outage": {
			spoil: func(s *show) { s.patience = 300 * time.Millisecond },
			scene: (*show).outage,
			want:  "not seen within 300ms: a refresh that fails, with a warning in the log",
		},
		"no recovery": {
			spoil: func(s *show) {
				s.patience = time.Second
				s.kit.STS.Fail(irsatest.Unavailable, -1) // Up does not end it
				_ = s.provider.Refresh(context.Background())
			},
			scene: (*show).recovery,
			want:  "not seen within 1s: new credentials",
		},
		"an outage longer than the credentials' life": {
			life:  brief,
			spoil: func(s *show) { s.kit.STS.Down() },
			scene: (*show).backgroundRefresh,
			want:  "a caller got an error: irsa: STS unavailable",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, out := newShow(t)
			s.ask(t, c.life)
			c.spoil(s)

			err := c.scene(s, t.Context())

			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, out.received(), "✓")
		})
	}
}

func TestNoFirstCredentialsFailTheShow(t *testing.T) {
	t.Parallel()
	s, out := newShow(t)
	s.patience = 300 * time.Millisecond
	s.kit.STS.Down()

	err := s.play(t.Context())

	require.EqualError(t, err, "first credentials: not seen within 300ms: credentials for every caller")
	assert.NotContains(t, out.received(), "✓")
}

func TestMoreThanOneCallForTheFirstCredentialsFailsTheShow(t *testing.T) {
	t.Parallel()
	s, out := newShow(t)
	s.kit.STS.Fail(irsatest.Unavailable, 1)
	s.ask(t, 0)

	err := s.firstCredentials(t.Context())

	require.EqualError(t, err, "there were 2 STS calls, not one for all callers")
	assert.NotContains(t, out.received(), "✓")
}

func TestARotationThatIsNotFollowedFailsTheShow(t *testing.T) {
	t.Parallel()
	s, out := newShow(t, func(o *irsa.Options) {
		token, err := tokenfile.Read(o.TokenFile)
		require.NoError(t, err)
		o.TokenFile, o.Token = "", fixedToken(token)
	})
	s.ask(t, brief)

	err := s.tokenRotation(t.Context())

	require.EqualError(t, err, "the next exchange still used the old token")
	assert.NotContains(t, out.received(), "✓")
}

// fixedToken is a token source that never follows a rotation.
type fixedToken tokenfile.Token

func (fixedToken) Identity() string { return "shop/cart" }

func (f fixedToken) Token(context.Context) (tokenfile.Token, error) { return tokenfile.Token(f), nil }

func TestACallerWhoSuffersFailsTheShow(t *testing.T) {
	t.Parallel()
	var s sight
	require.NoError(t, s.complaint())

	slow := &callers{}
	slow.note(true, time.Second, "ASIAEXAMPLE1", nil)
	require.NoError(t, slow.seen().complaint(), "the first callers do wait")
	slow.note(false, latency-1, "ASIAEXAMPLE1", nil)
	require.NoError(t, slow.seen().complaint())
	slow.note(false, latency, "ASIAEXAMPLE1", nil)
	require.EqualError(t, slow.seen().complaint(), "a caller waited 250ms, as long as for STS")

	expired := &callers{credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "ASIAEXAMPLE1", Expires: time.Now().Add(-time.Minute)}, nil
	})}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	expired.ask(ctx)
	require.ErrorContains(t, expired.seen().complaint(), "a caller got an error: the credentials expired ")
}

func TestCallersCountCredentialsOnce(t *testing.T) {
	t.Parallel()
	c := &callers{}
	for _, id := range []string{"ASIAEXAMPLEAAAA", "ASIAEXAMPLEBBBB", "ASIAEXAMPLEAAAA"} {
		c.note(false, 0, id, nil)
	}
	assert.Equal(t, 2, c.seen().different)
	assert.Equal(t, "…BBBB", c.seen().key, "late news of the old ones changes nothing")
}
