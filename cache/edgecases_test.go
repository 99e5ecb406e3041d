package cache_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

func TestCacheWakeDuringFirstAttemptRetriesImmediately(t *testing.T) {
	for _, tt := range []struct {
		name, why     string
		delay, second time.Duration
	}{
		{"after the spacing", "the backoff would end at 1.1 s", 900 * time.Millisecond, time.Second},
		{"after the attempt", "the backoff would end at 3.2 s", 3 * time.Second, 3 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{lifetime: time.Hour, delay: tt.delay, err: errBroken}
				c := newCache(t, s)
				start := time.Now()
				_, err := c.Retrieve(expiredContext(t)) // only starts the attempt
				require.ErrorIs(t, err, context.DeadlineExceeded)
				time.Sleep(tt.delay / 2)
				c.Wake()
				s.setError(nil)
				time.Sleep(10 * time.Second)
				assert.Equal(t, []time.Duration{0, tt.second}, s.callsSince(start), tt.why)
				assert.Equal(t, cache.Fresh, c.Status().State)
			})
		})
	}
}

func TestCacheWakeDoesNotDelayRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, err: errBroken}
		c := newCache(t, s)
		start := time.Now()
		require.ErrorIs(t, c.Refresh(t.Context()), errBroken)
		_, err := c.Retrieve(expiredContext(t)) // adds demand for the retry
		require.Error(t, err)
		c.Wake()
		time.Sleep(time.Second)
		calls := s.callsSince(start)
		require.Len(t, calls, 2)
		assert.InDelta(t, 225*time.Millisecond, calls[1], float64(25*time.Millisecond), "not the spacing of a second")
	})
}

func TestInvalidateDuringOutageKeepsBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		creds := retrieve(t, c)
		s.setError(errBroken)
		for range 5 {
			require.ErrorIs(t, c.Refresh(t.Context()), errBroken)
		}
		before := c.Status()
		require.Equal(t, cache.Stale, before.State)
		require.Equal(t, 5, before.Failures)
		start := time.Now()
		calls := s.count()
		c.Invalidate(creds)

		status := c.Status()
		assert.Equal(t, cache.Expired, status.State, "the credentials are withdrawn")
		assert.Equal(t, 5, status.Failures, "the failures still count")
		assert.ErrorIs(t, status.Err, errBroken)
		assert.InDelta(t, 4500*time.Millisecond, status.NextAttempt.Sub(start), float64(500*time.Millisecond), "the backoff with nothing to serve")
		for time.Now().Before(status.NextAttempt) {
			assert.Equal(t, calls, s.count(), "no attempt before it is due")
			_, err := c.Retrieve(t.Context())
			require.ErrorIs(t, err, errBroken)
			require.NotErrorIs(t, err, cache.ErrRejected)
			c.Invalidate(creds)
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		assert.Equal(t, calls+1, s.count())
		s.setError(nil)
		time.Sleep(10 * time.Second)
		assert.NotEqual(t, creds.AccessKeyID, retrieve(t, c).AccessKeyID)
	})
}

func TestMinTTLCreatedLateRefreshesImmediately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: time.Second}
		c := newCache(t, s)
		retrieve(t, c)
		time.Sleep(35 * time.Minute)
		require.Equal(t, 1, s.count())
		view := c.MinTTL(22 * time.Minute) // requires a refresh before 34.2 minutes
		synctest.Wait()
		assert.Equal(t, 2, s.count(), "started without a caller")
		for _, p := range []aws.CredentialsProvider{c, view} { // enough of the lifetime remains
			start := time.Now()
			assert.Equal(t, "AK1", retrieve(t, p).AccessKeyID)
			assert.Zero(t, time.Since(start), "no caller waits")
		}
		time.Sleep(2 * time.Second)
		assert.Equal(t, "AK2", retrieve(t, c).AccessKeyID)
		assert.EqualValues(t, 1, c.Status().WaitCount, "only the first caller waited")
	})
}

// An attempt that already counted as failed when it timed out may return an error later.
func TestCacheDoesNotScheduleAttemptWhileOneIsOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		hung := make(chan struct{})
		c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			if calls.Add(1) == 2 {
				<-hung // ignores its context
			}
			return aws.Credentials{AccessKeyID: "key", SecretAccessKey: "secret", CanExpire: true, Expires: time.Now().Add(time.Hour)}, nil
		}))
		retrieve(t, c)
		for calls.Load() < 2 {
			time.Sleep(time.Minute)
		}
		time.Sleep(2 * time.Minute) // beyond the timeout and the backoff
		assert.Equal(t, 1, c.Status().Failures)
		assert.Zero(t, c.Status().NextAttempt)
		retrieve(t, c)
		assert.EqualValues(t, 2, calls.Load())
		close(hung)
		synctest.Wait()
	})
}

func TestCacheCountsOverdueAttemptOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen recorder
		var calls atomic.Int32
		var began []time.Time
		c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			began = append(began, time.Now())
			if calls.Add(1) == 5 {
				time.Sleep(12 * time.Second) // ignores its context
			}
			return aws.Credentials{}, errBroken
		}), func(o *cache.Options) { o.Observe = seen.observe })
		for range 5 {
			require.Error(t, c.Refresh(t.Context()))
		}
		overdue := time.Now() // 10.1 s after the start of the fifth attempt
		require.Equal(t, 5, c.Status().Failures)
		_, err := c.Retrieve(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		status := c.Status()
		assert.Equal(t, 5, status.Failures)
		assert.ErrorIs(t, status.Err, context.DeadlineExceeded, "the later error is ignored")
		assert.InDelta(t, 4500*time.Millisecond, status.NextAttempt.Sub(overdue), float64(500*time.Millisecond), "the backoff after the timeout")
		seen.mu.Lock()
		assert.Len(t, seen.events, 5)
		seen.mu.Unlock()
		time.Sleep(time.Until(status.NextAttempt))
		synctest.Wait()
		assert.EqualValues(t, 6, calls.Load())
		assert.Equal(t, 6, c.Status().Failures)
		assert.True(t, status.NextAttempt.Equal(began[5]))
	})
}
