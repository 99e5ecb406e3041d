package cache_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

func TestCacheContinuesAttemptAfterCallerIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: 5 * time.Second}
		c := newCache(t, s)
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := c.Retrieve(ctx)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(start))
		})
		synctest.Wait()
		wg.Go(func() {
			creds, err := c.Retrieve(t.Context())
			assert.NoError(t, err)
			assert.Equal(t, "AK1", creds.AccessKeyID)
			assert.Equal(t, 5*time.Second, time.Since(start))
		})
		wg.Wait()
		assert.Equal(t, 1, s.count())
	})
}

func TestCacheServesCallerWithCanceledContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, &source{lifetime: time.Hour, delay: time.Second})
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("client disconnected")
		cancel(cause)
		_, err := c.Retrieve(ctx)
		require.ErrorIs(t, err, cause)
		retrieve(t, c)
		_, err = c.Retrieve(ctx)
		require.NoError(t, err)
	})
}

func TestCacheTimesOutHungSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		s.setHung(true)
		c := newCache(t, s)
		start := time.Now()
		_, err := c.Retrieve(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		// The first callers wait through two failures: three attempts and two backoffs.
		assert.InDelta(t, 31.2, time.Since(start).Seconds(), 0.5)
		s.setHung(false)
		time.Sleep(5 * time.Second)
		assert.Equal(t, "AK4", retrieve(t, c).AccessKeyID)
	})
}

func TestCacheTimesOutStuckSourceWithoutCallingItAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls, running atomic.Int32
		c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			calls.Add(1)
			assert.EqualValues(t, 1, running.Add(1))
			defer running.Add(-1)
			<-release
			return keys(1, time.Hour), nil
		}))
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, c.Refresh(ctx), context.DeadlineExceeded)
		assert.Equal(t, 10100*time.Millisecond, time.Since(start))
		status := c.Status()
		assert.Equal(t, 1, status.Failures)
		assert.Equal(t, cache.Empty, status.State)
		time.Sleep(10 * time.Minute)
		assert.EqualValues(t, 1, calls.Load())
		close(release) // a late success
		synctest.Wait()
		assert.Equal(t, "AK1", retrieve(t, c).AccessKeyID)
		assert.EqualValues(t, 1, calls.Load())
		assert.Zero(t, c.Status().Failures)
	})
}

func TestCacheRetriesImmediatelyAfterLateFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			if calls.Add(1) == 1 {
				time.Sleep(time.Minute)
				return aws.Credentials{}, errBroken
			}
			return keys(2, time.Hour), nil
		}))
		start := time.Now()
		_, err := c.Retrieve(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 10100*time.Millisecond, time.Since(start), "callers do not wait for a stuck source")
		time.Sleep(time.Minute)
		assert.Equal(t, "AK2", retrieve(t, c).AccessKeyID)
	})
}

func TestCacheReturnsErrorAfterPanicOrGoexitInSource(t *testing.T) {
	for _, tt := range []struct {
		name string
		fail func()
		want string
	}{
		{"a panic with a string", func() { panic("oops") }, "panicked: oops"},
		{"a panic with an error", func() { panic(errBroken) }, "panicked: broken"},
		{"runtime.Goexit", runtime.Goexit, "runtime.Goexit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					tt.fail()
					return aws.Credentials{}, nil
				}))
				require.ErrorContains(t, c.Refresh(t.Context()), tt.want)
			})
		})
	}
}

func TestCacheReturnsContextErrorAndCause(t *testing.T) {
	cause := errors.New("the request is over")
	for want, prepare := range map[string]func(t *testing.T, s *source, c *cache.Cache){
		"cache: waiting for credentials: context deadline exceeded: the request is over": func(*testing.T, *source, *cache.Cache) {},
		"cache: waiting for credentials: context deadline exceeded: the request is over; last error: broken": func(t *testing.T, s *source, c *cache.Cache) {
			s.setError(errBroken)
			require.Error(t, c.Refresh(t.Context()))
			time.Sleep(time.Minute)
		},
		"cache: waiting for credentials: context deadline exceeded: the request is over; last error: cache: credentials rejected": func(t *testing.T, _ *source, c *cache.Cache) {
			c.Invalidate(retrieve(t, c))
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &source{lifetime: time.Hour, delay: 5 * time.Second}
			c := newCache(t, s)
			prepare(t, s, c)
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
			defer cancel()
			_, err := c.Retrieve(ctx)
			assert.EqualError(t, err, want)
			assert.ErrorIs(t, err, cause)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		})
	}
}
