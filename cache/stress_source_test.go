package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/schedule"
)

// Behaviors of the source when it is called.
const (
	works = iota
	fails
	hangs  // returns when its context ends
	isLate // takes seconds
	modes
)

// Results of the source while it works.
const (
	renews   = iota // new credentials
	caches          // the same credentials until some time before they expire
	shortens        // credentials with a much shorter lifetime than usual
	phases
)

// hangLimit bounds how long a source hangs inside an aws.CredentialsCache, which does not
// propagate the cancellation of the context.
const hangLimit = 15 * time.Second

var errStress = errors.New("failed by the stress test")

// grant records credentials that the source returned.
type grant struct {
	end      schedule.Moment // expiry on the clocks of the Cache
	lifetime time.Duration   // at their receipt by the Cache
	again    bool            // the Cache has received them more than once
}

// margins returns the minimum and maximum time before expiry at which the Cache stops serving the
// credentials.
func (g *grant) margins() (least, most time.Duration) {
	if g.again {
		return time.Second, time.Second
	}
	return schedule.Margin(g.lifetime, 0), schedule.Margin(g.lifetime, 1)
}

// ended reports whether the credentials expire within margin.
func (g *grant) ended(now schedule.Moment, margin time.Duration) bool {
	return g.end.Add(-margin).Reached(now)
}

func (w *world) setMode(mode int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mode = mode
}

// changePhase changes what the source returns. Inside the SDK's own cache, the source always renews.
func (w *world) changePhase() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrapped {
		return
	}
	w.phase = w.random.IntN(phases)
	w.early = []time.Duration{0, 500 * time.Millisecond, 5 * time.Second, w.lifetime / 10}[w.random.IntN(4)]
	w.short = []time.Duration{2 * time.Second, time.Minute}[w.random.IntN(2)]
	w.lastGood = nil
}

// source is the Retrieve function of the source. It must never be called concurrently.
func (w *world) source(ctx context.Context) (aws.Credentials, error) {
	rejected := w.attemptIsRejected()
	w.mu.Lock()
	w.running++
	require.Equal(w.t, 1, w.running, "concurrent calls of the source")
	w.calls = append(w.calls, time.Now())
	mode, began := w.mode, w.cache.now()
	w.checkSpacing(began)
	if rejected && w.cache.state.Load().failures == 0 { // otherwise it is a retry
		w.checkRejections(began)
	}
	w.mu.Unlock()
	err := w.respond(ctx, mode)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running--
	if err != nil {
		w.lastGood = nil
		return aws.Credentials{}, err
	}
	key := w.choose()
	if w.lastGood = nil; w.usable(key) {
		w.receive(key, rejected)
		if g := w.grants[key]; g.again || schedule.RefreshAfter(g.lifetime, 0, 0) >= schedule.Spacing {
			w.lastGood = &began
		}
	}
	return aws.Credentials{AccessKeyID: key, SecretAccessKey: "secret", CanExpire: true, Expires: w.grants[key].end.Time()}, nil
}

// respond waits or fails according to mode.
func (w *world) respond(ctx context.Context, mode int) error {
	var delay time.Duration
	switch mode {
	case works:
		return nil
	case fails:
		return errStress
	case isLate:
		delay = 2 * time.Second
	case hangs:
		delay = hangLimit
	}
	select {
	case <-time.After(delay):
		if mode == hangs {
			return errStress
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// choose returns the key of the credentials to return. w.mu must be held.
func (w *world) choose() string {
	now := w.cache.now()
	lifetime := w.lifetime
	switch w.phase {
	case caches:
		if g := w.grants[w.cached]; g != nil && w.mayRepeat(g, now) {
			return w.cached
		}
	case shortens:
		lifetime = w.short
	}
	key := fmt.Sprintf("AK%d", len(w.calls))
	w.grants[key] = &grant{end: now.Add(lifetime), lifetime: lifetime}
	if w.phase == caches {
		w.cached = key
	}
	return key
}

// mayRepeat reports whether a caching source may return g again. The Cache computes the expiry of
// credentials that it does not already have from the wall clock, so g must not predate a step, and it
// does not remember withdrawn keys forever. w.mu must be held.
func (w *world) mayRepeat(g *grant, now schedule.Moment) bool {
	left := time.Duration(g.end.Wall - now.Wall)
	known := w.cached == w.served || left == g.end.Elapsed-now.Elapsed
	at := slices.Index(w.withdrawn, w.cached)
	return !g.ended(now, w.early) && known && (at < 0 || len(w.withdrawn)-at <= maxWithdrawn)
}

// usable reports whether the Cache may use the credentials. w.mu must be held.
func (w *world) usable(key string) bool {
	long := w.grants[key].end.Until(w.cache.now()) >= schedule.MinLifetime
	return !slices.Contains(w.withdrawn, key) && (long || key == w.served)
}

// receive records what the Cache serves after the source returned key. The Cache keeps credentials
// that live longer unless they were rejected. w.mu must be held.
func (w *world) receive(key string, rejected bool) {
	now, next, old := w.cache.now(), w.grants[key], w.grants[w.served]
	switch {
	case key == w.served:
		next.again = true
	case old != nil && (!rejected || next.end.Until(now) < minReplacement) && next.end.Until(now)+rounding < old.end.Until(now) && !w.hasStopped(old, now):
		if least, most := old.margins(); old.ended(now, most) && !old.ended(now, least) {
			w.served = ""
		}
	default:
		next.lifetime, next.again = next.end.Until(now), false
		w.served = key
	}
}

// hasStopped reports whether the Cache must have stopped serving g.
func (w *world) hasStopped(g *grant, now schedule.Moment) bool {
	least, _ := g.margins()
	return g.ended(now, least)
}
