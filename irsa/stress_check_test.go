package irsa_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/irsa"
)

// noDeadline is the timeout of callers without a deadline. It is longer than any caller waits.
const noDeadline = 10 * time.Minute

// callSome calls Retrieve for some of the actors, with different timeouts.
func (w *world) callSome() {
	for _, a := range slices.Clone(w.actors) {
		if time.Now().After(a.idleUntil) && w.random.IntN(2) == 0 {
			w.callOnce(a)
		}
	}
}

func (w *world) callOnce(a *actor) {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Duration(w.random.IntN(20))*time.Second)
	defer cancel()
	want := w.valid(a)
	creds, ok := w.retrieve(ctx, a, want)
	if ok && want != nil && !want.unsure {
		w.check(creds.AccessKeyID == want.key || w.isNewer(creds.AccessKeyID, want), "%s serves older credentials than the newest", a.name)
	}
}

// isNewer reports whether a key expires after s. A key that replaces a rejected key may expire sooner.
func (w *world) isNewer(key string, s *grant) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	granted := w.issued[key]
	return granted != nil && granted.end.After(s.end)
}

// startCallers starts concurrent callers in the background.
func (w *world) startCallers(a *actor) {
	want := w.valid(a)
	for range 1 + w.random.IntN(8) {
		timeout := time.Duration(w.random.IntN(40)) * time.Second
		if w.random.IntN(4) == 0 {
			timeout = noDeadline
		}
		w.background(timeout, func(ctx context.Context) { w.retrieve(ctx, a, want) })
	}
	synctest.Wait() // until only blocked callers are left
}

// retrieve calls Retrieve and checks the result. want is the credentials that must be served, or nil
// if there may be none.
func (w *world) retrieve(ctx context.Context, a *actor, want *grant) (aws.Credentials, bool) {
	start := time.Now()
	creds, err := a.Retrieve(ctx)
	if want != nil {
		w.check(err == nil, "%s: an error despite valid credentials: %v", a.name, err)
		w.check(time.Since(start) == 0, "%s: a caller waited for %v despite valid credentials", a.name, time.Since(start))
	}
	if err != nil {
		w.checkError(a, err)
		return creds, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.issued[creds.AccessKeyID]
	if !w.check(s != nil && s.name == a.name, "%s serves the credentials of another actor", a.name) {
		return creds, false
	}
	w.check(time.Now().Before(s.end), "%s serves expired credentials", a.name)
	w.check(!creds.Expires.After(s.end.Add(-5*time.Second)), "%s serves credentials until %v that expire at %v", a.name, creds.Expires, s.end)
	w.check(s.invalidated.IsZero() || !s.invalidated.Before(start), "%s serves invalidated credentials", a.name)
	return creds, true
}

// valid returns the newest credentials of an actor if they must be served, or nil.
func (w *world) valid(a *actor) *grant {
	synctest.Wait() // until the Provider has received the response
	w.mu.Lock()
	defer w.mu.Unlock()
	s := a.newest
	if s == nil || a.closed || !s.invalidated.IsZero() || !time.Now().Before(s.certain) {
		return nil
	}
	return s
}

// invalidateKey invalidates the newest or the previous credentials.
func (a *actor) invalidateKey() {
	w := a.world
	synctest.Wait() // until the Provider has received the response
	w.mu.Lock()
	s := a.newest
	if w.random.IntN(3) == 0 {
		s = a.older
	}
	if s == nil {
		w.mu.Unlock()
		return
	}
	if s == a.newest && s.invalidated.IsZero() {
		s.invalidated = time.Now()
	}
	if a.newest.unsure {
		a.newest.certain = time.Now() // the Provider may have kept s instead of the newest
	}
	w.mu.Unlock()
	a.recordReason()
	a.Invalidate(aws.Credentials{AccessKeyID: s.key})
}

// requestRefresh starts a refresh without waiting for it.
func (a *actor) requestRefresh(ctx context.Context) {
	a.recordReason()
	ended, end := context.WithCancel(ctx)
	end()
	a.world.checkError(a, a.Refresh(ended))
}

// checkError checks an error that a caller received.
func (w *world) checkError(a *actor, err error) {
	if err == nil {
		return
	}
	w.mu.Lock()
	closed := a.closed || !a.closedAt.IsZero()
	w.mu.Unlock()
	w.check(closed || !errors.Is(err, irsa.ErrClosed), "%s is not closed but returns: %v", a.name, err)
	var typed *irsa.Error
	w.check(errors.As(err, &typed) && typed.Kind != nil, "%s: an error without a kind: %v", a.name, err)
	w.checkNoSecret(err.Error())
}

// checkNoSecret checks that a text contains no secret.
func (w *world) checkNoSecret(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, secret := range w.secrets {
		if strings.Contains(text, secret) {
			assert.Fail(w.t, "a secret is printed", text)
		}
	}
}

// lines is an io.Writer that checks log lines.
type lines struct{ world *world }

func (l lines) Write(line []byte) (int, error) {
	l.world.checkNoSecret(string(line))
	return len(line), nil
}

// recordReason records a reason for an attempt.
func (a *actor) recordReason() {
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	a.addReason(time.Now())
}

// recordRotation records a reason for an attempt for all actors.
func (w *world) recordRotation() {
	for _, a := range w.actors {
		a.recordReason()
	}
}
