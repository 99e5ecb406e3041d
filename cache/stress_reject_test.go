package cache

import (
	"context"
	"fmt"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/schedule"
)

// withdraw invalidates the served credentials.
func (w *world) withdraw() {
	creds := w.cache.state.Load().creds
	if creds.AccessKeyID == "" {
		return
	}
	w.mu.Lock()
	w.lastGood = nil // the next attempt may start immediately
	w.withdrawn = append(w.withdrawn, creds.AccessKeyID)
	if w.served == creds.AccessKeyID {
		w.served = ""
	}
	w.mu.Unlock()
	w.cache.Invalidate(creds)
}

// reject simulates a service that rejects the served key. The caller of Replace may or may not wait.
func (w *world) reject() {
	creds := w.cache.state.Load().creds
	if creds.AccessKeyID == "" {
		return
	}
	if w.random.IntN(2) == 0 {
		_, valid := w.mustServe()
		_ = w.cache.Replace(canceled(w.t), creds, w.minAge)
		_, err := w.cache.Retrieve(canceled(w.t))
		require.True(w.t, err == nil || !valid, "a rejection withdrew valid credentials: %v", err)
		return
	}
	patience := w.within(0, 20*time.Second)
	for range 1 + w.random.IntN(3) {
		w.callers.Go(func() { w.awaitReplacement(creds, patience) })
	}
	synctest.Wait()
}

// awaitReplacement calls Replace and waits.
func (w *world) awaitReplacement(rejected aws.Credentials, patience time.Duration) {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	start := time.Now()
	err := w.cache.Replace(ctx, rejected, w.minAge)
	assert.LessOrEqual(w.t, time.Since(start), min(patience, w.cache.opts.AttemptTimeout))
	if err == nil {
		assert.NotEqual(w.t, rejected.AccessKeyID, w.cache.state.Load().creds.AccessKeyID, "no replacement")
	}
}

// rejectOlder rejects a key that is no longer served, which must not start an attempt.
func (w *world) rejectOlder() {
	served := w.cache.state.Load().creds.AccessKeyID
	w.mu.Lock()
	key := fmt.Sprintf("AK%d", 1+w.random.IntN(len(w.calls)+1))
	w.mu.Unlock()
	if key == served {
		return
	}
	w.cache.mu.Lock()
	started := w.cache.scheduler.started
	w.cache.mu.Unlock()
	start := time.Now()
	require.NoError(w.t, w.cache.Replace(w.t.Context(), aws.Credentials{AccessKeyID: key}, 0))
	require.Zero(w.t, time.Since(start))
	w.cache.mu.Lock()
	defer w.cache.mu.Unlock()
	require.Equal(w.t, started, w.cache.scheduler.started, "the rejection of an older key started an attempt")
}

// attemptIsRejected reports whether a rejection started the running attempt.
func (w *world) attemptIsRejected() bool {
	w.cache.mu.Lock()
	defer w.cache.mu.Unlock()
	return w.cache.scheduler.attempt != nil && w.cache.scheduler.attempt.rejected
}

// checkRejections checks that rejections start at most one attempt within minAge. The spacing of
// attempts may delay each start. w.mu must be held.
func (w *world) checkRejections(now schedule.Moment) {
	if w.rejected != nil {
		assert.GreaterOrEqual(w.t, now.Elapsed-w.rejected.Elapsed, w.minAge-schedule.Spacing, "spacing of attempts after rejections")
	}
	w.rejected = &now
}
