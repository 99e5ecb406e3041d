package cache_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

// recorder records events.
type recorder struct {
	mu     sync.Mutex
	events []cache.Event
}

func (r *recorder) observe(e cache.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func logTo(buffer *bytes.Buffer) func(*cache.Options) {
	return func(o *cache.Options) { o.Logger = slog.New(slog.NewTextHandler(buffer, nil)) }
}

func TestCacheObservesAttemptsAndInvalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen recorder
		s := &source{lifetime: time.Hour, delay: time.Second}
		c := newCache(t, s, func(o *cache.Options) { o.Observe = seen.observe })
		creds := retrieve(t, c)
		s.setError(errBroken)
		require.Error(t, c.Refresh(t.Context()))
		s.setError(nil)
		require.NoError(t, c.Refresh(t.Context()))
		c.Invalidate(creds) // no longer served, so there is no event
		c.Invalidate(retrieve(t, c))
		synctest.Wait()

		require.Len(t, seen.events, 4)
		for i, want := range []struct {
			state    cache.State
			failures int
			err      error
			took     time.Duration
		}{
			{cache.Fresh, 0, nil, time.Second},
			{cache.Stale, 1, errBroken, time.Second},
			{cache.Fresh, 0, nil, time.Second},
			{cache.Expired, 0, cache.ErrRejected, 0},
		} {
			e := seen.events[i]
			assert.Equal(t, want.state, e.Status.State, i)
			assert.Equal(t, want.failures, e.Status.Failures, i)
			assert.Equal(t, want.err, e.Status.Err, i)
			assert.Equal(t, want.took, e.Took, i)
			assert.False(t, e.Time.IsZero(), i)
		}
		assert.Equal(t, 200*time.Millisecond, seen.events[1].Status.NextAttempt.Sub(seen.events[1].Time).Truncate(200*time.Millisecond))
	})
}

func TestCacheLogsOnlyHealthChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &source{lifetime: time.Hour}
		c := newCache(t, s, logTo(&log))
		retrieve(t, c)
		stop := retrieveEvery(t, c, 5*time.Second, 5)
		s.setError(errBroken)
		time.Sleep(5 * time.Hour)
		s.setError(nil)
		time.Sleep(5 * time.Hour)
		stop()
		require.NoError(t, c.Close()) // all messages have been written
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		require.Len(t, lines, 3)
		assert.Regexp(t, `level=WARN msg="credentials refresh failed" error=broken serving_until=2000-01-01T\d\d:\d\d:5`, lines[0])
		assert.Contains(t, lines[1], `level=ERROR msg="no valid credentials" error=broken`)
		assert.Contains(t, lines[2], `level=INFO msg="credentials refresh recovered"`)
		for _, line := range lines {
			assert.NotContains(t, line, "0001-01-01", "zero times are not logged")
		}
	})
}

func TestCacheLogsFirstFailureAsWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &source{lifetime: time.Hour, err: errBroken}
		c := newCache(t, s, logTo(&log))
		time.AfterFunc(100*time.Millisecond, func() { s.setError(nil) })
		retrieve(t, c)
		synctest.Wait()
		assert.Contains(t, log.String(), `level=WARN msg="initial attempt failed, retrying" error=broken`)
		assert.NotContains(t, log.String(), "ERROR")
	})
}

func TestCacheSurvivesBlockingAndPanickingObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		release := make(chan struct{})
		s := &source{lifetime: time.Hour}
		c := newCache(t, s, logTo(&log), func(o *cache.Options) {
			o.Observe = func(cache.Event) {
				<-release
				panic("observer")
			}
		})
		for range 200 * 60 {
			start := time.Now()
			retrieve(t, c)
			require.Zero(t, time.Since(start))
			time.Sleep(time.Minute)
		}
		close(release)
		synctest.Wait()
		// One event was being delivered while the others waited.
		assert.Equal(t, 65, strings.Count(log.String(), `msg="credentials observer panicked" panic=observer`))
	})
}

func TestCacheLogsWhileObserverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		release := make(chan struct{})
		defer close(release)
		s := &source{lifetime: time.Hour}
		c := newCache(t, s, logTo(&log), func(o *cache.Options) {
			o.Observe = func(cache.Event) { <-release }
		})
		retrieve(t, c)
		s.setError(errBroken)
		require.Error(t, c.Refresh(t.Context()))
		synctest.Wait()
		assert.Contains(t, log.String(), "credentials refresh failed")
	})
}

func TestInvalidateDuringOutageIsObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen recorder
		s := &source{lifetime: time.Hour}
		c := newCache(t, s, func(o *cache.Options) { o.Observe = seen.observe })
		creds := retrieve(t, c)
		s.setError(errBroken)
		require.Error(t, c.Refresh(t.Context()))
		c.Invalidate(creds)
		synctest.Wait()
		require.Len(t, seen.events, 3)
		assert.False(t, seen.events[1].Withdrawn)
		assert.True(t, seen.events[2].Withdrawn)
		assert.Equal(t, cache.Expired, seen.events[2].Status.State)
	})
}
