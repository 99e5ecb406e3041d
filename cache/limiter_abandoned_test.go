package cache_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

// stuck returns a source that ignores its context until release is closed.
func stuck(release <-chan struct{}) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		<-release
		return keys(1, time.Hour), nil
	})
}

func TestLimiterReleasesSlotsOfAbandonedAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := answeredLimiter(t, 32)
		release := make(chan struct{})
		caches := make([]*cache.Cache, 32)
		var callers sync.WaitGroup
		for i := range caches {
			caches[i] = newCache(t, stuck(release), withLimiter(l))
			callers.Go(func() {
				_, err := caches[i].Retrieve(t.Context())
				assert.ErrorIs(t, err, context.DeadlineExceeded)
			})
		}
		synctest.Wait()
		assert.Equal(t, cache.LimiterStatus{Running: 32, Slots: 32}, l.Status())
		begin := time.Now()
		for range 100 { // healthy Caches
			retrieve(t, newCache(t, &source{lifetime: time.Hour}, withLimiter(l)))
		}
		assert.Equal(t, 10100*time.Millisecond, time.Since(begin))
		callers.Wait()
		synctest.Wait()
		assert.Equal(t, cache.LimiterStatus{Slots: 32}, l.Status(), "abandoned attempts are not running")
		close(release)
		synctest.Wait()
		assert.Equal(t, cache.LimiterStatus{Slots: 32}, l.Status(), "no slot is released twice")
		for _, c := range caches {
			assert.Equal(t, "AK1", retrieve(t, c).AccessKeyID, "a late success is used")
		}
	})
}

func TestLimiterReleasesSlotOfClosedCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := cache.NewLimiter(1)
		release := make(chan struct{})
		defer close(release)
		c := cache.New(stuck(release), withLimiter(l))
		require.ErrorIs(t, c.Refresh(ended()), context.Canceled)
		require.Error(t, c.Close(), "its source does not return")
		time.Sleep(time.Second)
		assert.Equal(t, cache.LimiterStatus{Slots: 1}, l.Status())
		retrieve(t, newCache(t, &source{lifetime: time.Hour}, withLimiter(l)))
	})
}

// ended returns a context that is done.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestLimiterResolvesDeadlockOfNestedAttempts(t *testing.T) {
	for _, slots := range []int{1, 4, 32} {
		synctest.Test(t, func(t *testing.T) {
			l := answeredLimiter(t, slots)
			app := t.Context() // the application's, without the slot of the attempt
			var callers sync.WaitGroup
			outers := make([]*cache.Cache, slots)
			for i := range outers {
				inner := newCache(t, &source{lifetime: time.Hour, delay: 50 * time.Millisecond}, withLimiter(l))
				outers[i] = newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return inner.Retrieve(app)
				}), withLimiter(l))
				callers.Go(func() { _, _ = outers[i].Retrieve(app) })
			}
			begin := time.Now()
			callers.Wait()
			time.Sleep(50 * time.Millisecond)
			assert.LessOrEqual(t, time.Since(begin), 10*time.Second+200*time.Millisecond, "%d slots", slots)
			synctest.Wait()
			for _, outer := range outers {
				retrieve(t, outer)
			}
			assert.Equal(t, cache.LimiterStatus{Slots: slots}, l.Status())
		})
	}
}

func TestLimiterBoundsNestedAttemptsAfterAbandonment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b tracker
		l := cache.NewLimiter(2)
		release := make(chan struct{})
		var callers sync.WaitGroup
		for range 10 {
			inner := newCache(t, b.source("inner", nil), withLimiter(l))
			outer := newCache(t, aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
				<-release
				_ = inner.Refresh(ctx)
				_, _ = inner.Retrieve(ctx)
				return keys(1, time.Hour), nil
			}), withLimiter(l))
			callers.Go(func() { _ = outer.Refresh(t.Context()) })
		}
		callers.Wait() // all attempts are abandoned
		close(release)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.LessOrEqual(t, b.most, 2)
		assert.Len(t, b.sources(), 10)
	})
}
