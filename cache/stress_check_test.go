package cache

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/schedule"
)

// retrieve calls Retrieve, which must return immediately if the Cache must have credentials.
func (w *world) retrieve() {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Duration(1+w.random.IntN(20))*time.Second)
	defer cancel()
	served, valid := w.mustServe()
	start := time.Now()
	creds, err := w.cache.Retrieve(ctx)
	if err != nil {
		require.Falsef(w.t, valid, "an error although there are valid credentials: %v", err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.grants[creds.AccessKeyID]
	require.NotNil(w.t, g)
	least, _ := g.margins()
	if w.wrapped { // the SDK's cache returns credentials again without calling the source
		least = min(least, time.Second)
	}
	require.False(w.t, g.ended(w.cache.now(), least), "expired credentials were served")
	require.False(w.t, slices.Contains(w.withdrawn, creds.AccessKeyID), "withdrawn credentials were served")
	if valid {
		require.Zero(w.t, time.Since(start), "a caller waited although there are valid credentials")
		// An attempt started by this Retrieve may already have replaced them.
		require.Contains(w.t, []string{served, w.served}, creds.AccessKeyID, "served credentials are not those with the later expiry")
	}
}

// mustServe returns the key that the Cache serves, and reports whether it must still serve it.
func (w *world) mustServe() (key string, valid bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.grants[w.served]
	if g == nil {
		return "", false
	}
	_, most := g.margins()
	if w.wrapped {
		most = max(most, time.Second)
	}
	return w.served, !g.ended(w.cache.now(), most)
}

// checkSpacing checks that a working source is called at most once a second. w.mu must be held.
func (w *world) checkSpacing(now schedule.Moment) {
	if w.lastGood != nil {
		assert.True(w.t, w.lastGood.Add(schedule.Spacing).Reached(now), "a working source was called twice within a second")
	}
}

// repair repairs the source. A caller that keeps calling must get credentials within 6 s after the
// timeout of an attempt, or within a minute if the last ones were withdrawn.
func (w *world) repair() {
	w.mu.Lock()
	w.mode, w.phase = works, renews
	w.mu.Unlock()
	limit := w.cache.opts.AttemptTimeout + 6*time.Second
	if errors.Is(w.cache.Status().Err, ErrRejected) {
		limit = schedule.RejectionSpacing
	}
	if w.wrapped {
		limit += hangLimit // until the running call has returned
	}
	start := time.Now()
	for {
		if _, err := w.cache.Retrieve(w.t.Context()); err == nil {
			break
		}
		require.LessOrEqual(w.t, time.Since(start), limit, "no recovery")
		time.Sleep(100 * time.Millisecond)
	}
	w.checkBackoff()
}

// checkBackoff checks that the backoff limits the calls within each second.
func (w *world) checkBackoff() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := 4; i < len(w.calls); i++ {
		require.GreaterOrEqual(w.t, w.calls[i].Sub(w.calls[i-4]), time.Second, "five calls within a second")
	}
}

func (w *world) close() {
	w.callers.Wait()
	require.NoError(w.t, w.cache.Close())
	if w.wrapped {
		time.Sleep(hangLimit) // lets the call of a timed-out attempt end
	}
	_, err := w.cache.Retrieve(w.t.Context())
	require.ErrorIs(w.t, err, ErrClosed)
}
