package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

func TestRefreshStartsNewAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: 3 * time.Second}
		c := newCache(t, s)
		go func() { _, _ = c.Retrieve(t.Context()) }()
		time.Sleep(2 * time.Second) // the first attempt is running
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { assert.NoError(t, c.Refresh(t.Context())) })
		}
		wg.Wait()
		assert.Equal(t, 2, s.count())
		assert.Equal(t, "AK2", retrieve(t, c).AccessKeyID)
	})
}

func TestRefreshInLoopIsSpaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		for c.Refresh(ctx) == nil {
		}
		assert.LessOrEqual(t, s.count(), 61)
		s.setError(errBroken)
		before := s.count()
		ctx, cancel = context.WithTimeout(t.Context(), 100*time.Second)
		defer cancel()
		for ctx.Err() == nil {
			assert.Error(t, c.Refresh(ctx))
		}
		assert.LessOrEqual(t, s.count()-before, 10)
	})
}

func TestRefreshWithEndedContextDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: 5 * time.Second}
		c := newCache(t, s)
		retrieve(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		require.ErrorIs(t, c.Refresh(ctx), context.Canceled)
		assert.Zero(t, time.Since(start))
		time.Sleep(6 * time.Second)
		assert.Equal(t, "AK2", retrieve(t, c).AccessKeyID)
	})
}

func TestRefreshDoesNotWaitForAbandonedAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		calls := 0
		c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			if calls++; calls == 1 {
				<-release
			}
			return keys(calls, time.Hour), nil
		}))
		require.ErrorIs(t, c.Refresh(t.Context()), context.DeadlineExceeded)
		var failure *cache.Error
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.ErrorAs(t, c.Refresh(ctx), &failure)
		require.ErrorIs(t, failure, context.DeadlineExceeded)
		close(release)
		synctest.Wait()
		assert.Equal(t, "AK2", retrieve(t, c).AccessKeyID, "the requested attempt has followed")
	})
}

func TestCacheWakeRetriesImmediatelyAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		c.Wake() // nothing has failed yet
		retrieve(t, c)
		c.Wake() // nothing has failed yet
		synctest.Wait()
		require.Equal(t, 1, s.count())

		s.setError(errBroken)
		time.Sleep(50 * time.Minute) // the backoff is long now
		c.Wake()
		synctest.Wait()
		failed := s.count()
		s.setError(nil)
		time.Sleep(time.Second)
		c.Wake()
		synctest.Wait()
		assert.Equal(t, failed+1, s.count())
		assert.Equal(t, cache.Fresh, c.Status().State)
	})
}

func TestCacheWakeDuringAttemptRetriesIfItFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: 2 * time.Second, err: errBroken}
		c := newCache(t, s, allPermanent)
		go func() { _, _ = c.Retrieve(t.Context()) }()
		time.Sleep(time.Second)
		c.Wake()
		s.setError(nil)
		time.Sleep(3 * time.Second)
		assert.Equal(t, 2, s.count())
		time.Sleep(time.Minute)
		assert.Equal(t, cache.Fresh, c.Status().State)
		assert.Equal(t, 2, s.count())
	})
}

func TestCacheWakeInLoopIsSpaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, err: errBroken}
		c := newCache(t, s, allPermanent)
		_, err := c.Retrieve(t.Context())
		require.Error(t, err)
		for range 10_000 {
			c.Wake()
			time.Sleep(10 * time.Millisecond)
		}
		assert.LessOrEqual(t, s.count(), 102)
	})
}

// An attempt that waits for the Limiter starts when it acquires its slot.
func TestRefreshSpacingStartsWhenSlotIsAcquired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := cache.NewLimiter(1)
		limited := func(o *cache.Options) { o.Limiter = limiter }
		busy := newCache(t, &source{lifetime: time.Hour, delay: 800 * time.Millisecond}, limited)
		s := &source{lifetime: time.Hour}
		c := newCache(t, s, limited)
		start := time.Now()
		go func() { _ = busy.Refresh(t.Context()) }()
		synctest.Wait()
		require.NoError(t, c.Refresh(t.Context()))
		require.NoError(t, c.Refresh(t.Context()))
		calls := s.callsSince(start)
		require.Len(t, calls, 2)
		assert.GreaterOrEqual(t, calls[1]-calls[0], time.Second)
	})
}

// A queued attempt can also start in the slot of an attempt whose source calls its Cache.
func TestRefreshSpacingStartsWhenSlotIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited := withLimiter(cache.NewLimiter(1))
		s := &source{lifetime: time.Hour}
		inner := newCache(t, s, limited)
		outer := newCache(t, aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			time.Sleep(5 * time.Second)
			return inner.Retrieve(ctx)
		}), limited)
		start := time.Now()
		_ = outer.Refresh(endedContext())
		_ = inner.Refresh(endedContext()) // queued
		retrieve(t, outer)
		require.NoError(t, inner.Refresh(t.Context()))
		assert.Equal(t, []time.Duration{5 * time.Second, 6 * time.Second}, s.callsSince(start))
	})
}

// requests are the methods that request an attempt and wait for it.
var requests = map[string]func(context.Context, *cache.Cache) error{
	"Refresh": func(ctx context.Context, c *cache.Cache) error { return c.Refresh(ctx) },
	"Replace": func(ctx context.Context, c *cache.Cache) error {
		creds, err := c.Retrieve(ctx)
		return errors.Join(err, c.Replace(ctx, creds, 0))
	},
}

func TestLimiterReusesSlotForNestedRequests(t *testing.T) {
	for name, request := range requests {
		for _, wait := range []time.Duration{0, 700 * time.Millisecond} { // the rest of the spacing
			t.Run(fmt.Sprint(name, ", after ", wait), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					limited := withLimiter(cache.NewLimiter(1))
					inner := newCache(t, &source{lifetime: time.Hour}, limited)
					retrieve(t, inner)
					time.Sleep(time.Second - wait)
					outer := newCache(t, aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
						return keys(1, time.Hour), request(ctx, inner)
					}), limited)
					start := time.Now()
					retrieve(t, outer)
					assert.Equal(t, wait, time.Since(start))
				})
			})
		}
	}
}

func TestLimiterPrefersWaitingRequests(t *testing.T) {
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limited := withLimiter(cache.NewLimiter(1))
				busy := newCache(t, &source{lifetime: time.Hour, delay: 5 * time.Second}, limited)
				background := newCache(t, &source{lifetime: time.Hour, delay: 5 * time.Second}, limited)
				s := &source{lifetime: time.Hour}
				c := newCache(t, s, limited)
				start := time.Now()
				retrieve(t, c)
				var caller sync.WaitGroup
				caller.Go(func() { assert.NoError(t, request(t.Context(), c)) }) // its attempt starts after a second
				synctest.Wait()
				_ = busy.Refresh(endedContext())
				_ = background.Refresh(endedContext())
				caller.Wait()
				assert.Equal(t, []time.Duration{0, 5 * time.Second}, s.callsSince(start))
			})
		})
	}
}
