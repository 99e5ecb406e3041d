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

// endless is the patience of callers without a deadline. None of them waits for so long.
const endless = 10 * time.Minute

// ask has callers ask, who have no patience or some.
func (w *world) ask() {
	for _, a := range slices.Clone(w.actors) {
		if time.Now().After(a.quiet) && w.random.IntN(2) == 0 {
			w.askOne(a)
		}
	}
}

func (w *world) askOne(a *actor) {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Duration(w.random.IntN(20))*time.Second)
	defer cancel()
	sure := w.valid(a)
	creds, ok := w.retrieve(ctx, a, sure)
	if ok && sure != nil && !sure.unsure {
		w.check(creds.AccessKeyID == sure.key || w.isNewer(creds.AccessKeyID, sure), "%s has newer credentials than those that it serves", a.name)
	}
}

// isNewer reports whether a key was granted after s: one that replaces a rejected key may end sooner.
func (w *world) isNewer(key string, s *grant) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	granted := w.issued[key]
	return granted != nil && granted.end.After(s.end)
}

// crowd has callers ask at the same time, in the background.
func (w *world) crowd(a *actor) {
	sure := w.valid(a)
	for range 1 + w.random.IntN(8) {
		patience := time.Duration(w.random.IntN(40)) * time.Second
		if w.random.IntN(4) == 0 {
			patience = endless
		}
		w.background(patience, func(ctx context.Context) { w.retrieve(ctx, a, sure) })
	}
	synctest.Wait() // who does not wait has gone
}

// retrieve is a caller, to whom the promises are kept. There are credentials that have to
// be served, unless sure is nil.
func (w *world) retrieve(ctx context.Context, a *actor, sure *grant) (aws.Credentials, bool) {
	start := time.Now()
	creds, err := a.Retrieve(ctx)
	if sure != nil {
		w.check(err == nil, "%s: an error where there are valid credentials: %v", a.name, err)
		w.check(time.Since(start) == 0, "%s: a caller waited for %v where there are valid credentials", a.name, time.Since(start))
	}
	if err != nil {
		w.judgeError(a, err)
		return creds, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.issued[creds.AccessKeyID]
	if !w.check(s != nil && s.name == a.name, "%s serves credentials of others", a.name) {
		return creds, false
	}
	w.check(time.Now().Before(s.end), "%s serves credentials that have expired", a.name)
	w.check(!creds.Expires.After(s.end.Add(-5*time.Second)), "%s serves credentials until %v that end at %v", a.name, creds.Expires, s.end)
	w.check(s.refused.IsZero() || !s.refused.Before(start), "%s serves credentials that a service has refused", a.name)
	return creds, true
}

// valid returns the newest credentials of an actor, if they have to be served.
func (w *world) valid(a *actor) *grant {
	synctest.Wait() // so that the Provider has got what STS has given
	w.mu.Lock()
	defer w.mu.Unlock()
	s := a.newest
	if s == nil || a.closed || !s.refused.IsZero() || !time.Now().Before(s.certain) {
		return nil
	}
	return s
}

// doubt is a service that refuses credentials: those of now, or older ones.
func (a *actor) doubt() {
	w := a.world
	synctest.Wait() // so that the Provider has got what STS has given
	w.mu.Lock()
	s := a.newest
	if w.random.IntN(3) == 0 {
		s = a.older
	}
	if s == nil {
		w.mu.Unlock()
		return
	}
	if s == a.newest && s.refused.IsZero() {
		s.refused = time.Now()
	}
	w.mu.Unlock()
	a.note()
	a.Invalidate(aws.Credentials{AccessKeyID: s.key})
}

// ask asks for an attempt and does not wait for it.
func (a *actor) ask(ctx context.Context) {
	a.note()
	ended, end := context.WithCancel(ctx)
	end()
	a.world.judgeError(a, a.Refresh(ended))
}

// judgeError checks an error that a caller got.
func (w *world) judgeError(a *actor, err error) {
	if err == nil {
		return
	}
	w.mu.Lock()
	closed := a.closed || !a.closedAt.IsZero()
	w.mu.Unlock()
	w.check(closed || !errors.Is(err, irsa.ErrClosed), "%s is not closed and says: %v", a.name, err)
	var typed *irsa.Error
	w.check(errors.As(err, &typed) && typed.Kind != nil, "%s: an error without a kind: %v", a.name, err)
	w.judgeText(err.Error())
}

// judgeText checks that a text which somebody may read holds no secret.
func (w *world) judgeText(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, secret := range w.secrets {
		if strings.Contains(text, secret) {
			assert.Fail(w.t, "a secret is printed", text)
		}
	}
}

// lines is where the log goes.
type lines struct{ world *world }

func (l lines) Write(line []byte) (int, error) {
	l.world.judgeText(string(line))
	return len(line), nil
}

// note says that somebody has given a reason for an attempt.
func (a *actor) note() {
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	a.gives(time.Now())
}

// noteRotation says that whoever waits after a failure has a reason to try again.
func (w *world) noteRotation() {
	for _, a := range w.actors {
		a.note()
	}
}
