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

// What the source does when it is called.
const (
	works = iota
	fails
	hangs  // until its context ends
	isLate // it needs seconds
	troubles
)

// What the source returns when it works.
const (
	renews   = iota // new credentials
	caches          // the same credentials until some time before their end
	shortens        // credentials that live much shorter than most
	phases
)

// hangLimit is how long a source hangs within the SDK's own cache, which hides the end of the
// context from it.
const hangLimit = 15 * time.Second

var errTorture = errors.New("failed by the stress test")

// grant describes credentials that the source returned.
type grant struct {
	end   schedule.Moment // as the Cache's clocks show it
	life  time.Duration   // when the Cache received them
	again bool            // the Cache received them again
}

// margins returns the least and the most time before their end at which the Cache stops serving
// the credentials.
func (g *grant) margins() (least, most time.Duration) {
	if g.again {
		return time.Second, time.Second
	}
	return schedule.Margin(g.life, 0), schedule.Margin(g.life, 1)
}

// ended reports whether the credentials end within margin.
func (g *grant) ended(now schedule.Moment, margin time.Duration) bool {
	return g.end.Add(-margin).Reached(now)
}

func (w *world) setTrouble(trouble int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble = trouble
}

// changePhase changes what the source returns. Below the SDK's own cache it always renews.
func (w *world) changePhase() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrapped {
		return
	}
	w.phase = w.random.IntN(phases)
	w.early = []time.Duration{0, 500 * time.Millisecond, 5 * time.Second, w.life / 10}[w.random.IntN(4)]
	w.short = []time.Duration{2 * time.Second, time.Minute}[w.random.IntN(2)]
	w.lastGood = nil
}

// source is the source. It is never called twice at the same time.
func (w *world) source(ctx context.Context) (aws.Credentials, error) {
	rejected := w.attemptIsRejected()
	w.mu.Lock()
	w.running++
	require.Equal(w.t, 1, w.running, "one attempt at a time")
	w.calls = append(w.calls, time.Now())
	trouble, began := w.trouble, w.cache.now()
	w.checkSpacing(began)
	if rejected {
		w.checkRejections(began)
	}
	w.mu.Unlock()
	err := w.suffer(ctx, trouble)
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
		if g := w.grants[key]; g.again || schedule.RefreshAfter(g.life, 0, 0) >= schedule.Spacing {
			w.lastGood = &began
		}
	}
	return aws.Credentials{AccessKeyID: key, SecretAccessKey: "secret", CanExpire: true, Expires: w.grants[key].end.Time()}, nil
}

// suffer fails or takes time, depending on the trouble.
func (w *world) suffer(ctx context.Context, trouble int) error {
	var delay time.Duration
	switch trouble {
	case works:
		return nil
	case fails:
		return errTorture
	case isLate:
		delay = 2 * time.Second
	case hangs:
		delay = hangLimit
	}
	select {
	case <-time.After(delay):
		if trouble == hangs {
			return errTorture
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// choose returns the key of the credentials that the source returns. w.mu is held.
func (w *world) choose() string {
	now := w.cache.now()
	life := w.life
	switch w.phase {
	case caches:
		if g := w.grants[w.cached]; g != nil && w.mayRepeat(g, now) {
			return w.cached
		}
	case shortens:
		life = w.short
	}
	key := fmt.Sprintf("AK%d", len(w.calls))
	w.grants[key] = &grant{end: now.Add(life), life: life}
	if w.phase == caches {
		w.cached = key
	}
	return key
}

// mayRepeat reports whether a caching source may return g again. The Cache takes the end of
// credentials that it does not have from the wall clock, so they must not be older than a step, and
// it does not remember keys forever. w.mu is held.
func (w *world) mayRepeat(g *grant, now schedule.Moment) bool {
	left := time.Duration(g.end.Wall - now.Wall)
	known := w.cached == w.present || left == g.end.Elapsed-now.Elapsed
	at := slices.Index(w.withdrawn, w.cached)
	return !g.ended(now, w.early) && known && (at < 0 || len(w.withdrawn)-at <= maxWithdrawn)
}

// usable reports whether the Cache may take credentials. w.mu is held.
func (w *world) usable(key string) bool {
	long := w.grants[key].end.Until(w.cache.now()) >= schedule.MinLifetime
	return !slices.Contains(w.withdrawn, key) && (long || key == w.present)
}

// receive records what the Cache serves after the source returned key: it keeps credentials that
// live longer unless they were rejected. w.mu is held.
func (w *world) receive(key string, rejected bool) {
	now, next, old := w.cache.now(), w.grants[key], w.grants[w.present]
	switch {
	case key == w.present:
		next.again = true
	case old != nil && (!rejected || next.end.Until(now) < leastReplacement) && next.end.Until(now)+rounding < old.end.Until(now) && !w.hasStopped(old, now):
		if least, most := old.margins(); old.ended(now, most) && !old.ended(now, least) {
			w.present = ""
		}
	default:
		next.life, next.again = next.end.Until(now), false
		w.present = key
	}
}

// hasStopped reports whether the Cache certainly does not serve g any more.
func (w *world) hasStopped(g *grant, now schedule.Moment) bool {
	least, _ := g.margins()
	return g.ended(now, least)
}
