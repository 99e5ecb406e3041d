package cache_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

// tracker counts concurrent source calls.
type tracker struct {
	mu    sync.Mutex
	now   int
	most  int
	order []string
}

// source returns a named source. Each call takes a second.
func (b *tracker) source(name string, err error) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		b.mu.Lock()
		b.now++
		b.most = max(b.most, b.now)
		b.order = append(b.order, name)
		b.mu.Unlock()
		defer func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.now--
		}()
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return aws.Credentials{}, ctx.Err()
		}
		return keys(1, time.Hour), err
	})
}

func (b *tracker) sources() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.order...)
}

func withLimiter(l *cache.Limiter) func(*cache.Options) {
	return func(o *cache.Options) { o.Limiter = l }
}

// answeredLimiter returns a Limiter whose tenant has received a response, so that the tenant can use
// all slots.
func answeredLimiter(t *testing.T, n int) *cache.Limiter {
	t.Helper()
	l := cache.NewLimiter(n)
	retrieve(t, newCache(t, &source{lifetime: time.Hour}, withLimiter(l)))
	synctest.Wait()
	return l
}

func TestLimiterBoundsConcurrentAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b tracker
		l := answeredLimiter(t, 3)
		var callers sync.WaitGroup
		for range 30 {
			c := newCache(t, b.source("", nil), withLimiter(l))
			callers.Go(func() { retrieve(t, c) })
		}
		begin := time.Now()
		synctest.Wait()
		assert.Equal(t, cache.LimiterStatus{Running: 3, Waiting: 27, Slots: 3}, l.Status())
		callers.Wait()
		assert.Equal(t, 3, b.most)
		assert.Equal(t, 10*time.Second, time.Since(begin), "AttemptTimeout does not include the wait for a slot")
		synctest.Wait()
		assert.Equal(t, cache.LimiterStatus{Slots: 3}, l.Status())
	})
}

func TestLimiterPrefersWaitingCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b tracker
		l := cache.NewLimiter(1)
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		first := newCache(t, b.source("first", nil), withLimiter(l))
		behind := newCache(t, b.source("behind", nil), withLimiter(l))
		wanted := newCache(t, b.source("wanted", nil), withLimiter(l))
		later := newCache(t, b.source("later", nil), withLimiter(l))
		for _, c := range []*cache.Cache{first, behind, later} {
			retrieve(t, c)
		}
		b.order = nil
		time.Sleep(30 * time.Minute)
		require.ErrorIs(t, first.Refresh(canceled), context.Canceled) // requests an attempt without waiting
		background := func(c *cache.Cache) { _ = c.Replace(canceled, retrieve(t, c), 0) }
		background(behind)
		background(later)
		var callers sync.WaitGroup
		callers.Go(func() { retrieve(t, wanted) })
		synctest.Wait()
		callers.Go(func() { assert.NoError(t, later.Refresh(t.Context())) })
		time.Sleep(10 * time.Second)
		callers.Wait()
		assert.Equal(t, []string{"first", "wanted", "later", "behind"}, b.sources())
	})
}

func TestLimiterLimitsFailingCachesToHalfOfSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := cache.NewLimiter(4)
		hung := &source{hung: true}
		ctx, stop := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		defer callers.Wait()
		defer stop()
		for range 40 {
			c := newCache(t, hung, withLimiter(l))
			callers.Go(func() {
				for ctx.Err() == nil { // callers never pause for long
					_, _ = c.Retrieve(ctx)
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		time.Sleep(5 * time.Minute) // all have failed by now
		for range 20 {
			var b tracker
			c := newCache(t, b.source("", nil), withLimiter(l))
			begin := time.Now()
			retrieve(t, c)
			assert.Equal(t, time.Second, time.Since(begin), "a healthy Cache acquires a slot immediately")
		}
	})
}

func TestLimiterReducesSlotsWhenThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := cache.NewLimiter(32)
		throttled := &source{err: &smithy.GenericAPIError{Code: "Throttling"}, delay: 50 * time.Millisecond}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		var callers sync.WaitGroup
		for range 100 {
			c := newCache(t, throttled, withLimiter(l))
			callers.Go(func() {
				for ctx.Err() == nil {
					_, _ = c.Retrieve(ctx)
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		callers.Wait()
		assert.LessOrEqual(t, l.Status().Slots, 4)
		var b tracker
		for range 200 {
			retrieve(t, newCache(t, b.source("", nil), withLimiter(l)))
		}
		assert.Greater(t, l.Status().Slots, 8, "each success restores a part of a slot")
	})
}

func TestLimiterCancelsTicketOfClosedCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := cache.NewLimiter(1)
		var b tracker
		running := newCache(t, b.source("running", nil), withLimiter(l))
		waiting := newCache(t, b.source("waiting", nil), withLimiter(l))
		last := newCache(t, b.source("last", nil), withLimiter(l))
		var callers sync.WaitGroup
		callers.Go(func() { retrieve(t, running) })
		synctest.Wait()
		callers.Go(func() {
			_, err := waiting.Retrieve(t.Context())
			assert.ErrorIs(t, err, cache.ErrClosed)
		})
		synctest.Wait()
		callers.Go(func() { retrieve(t, last) })
		synctest.Wait()
		begin := time.Now()
		require.NoError(t, waiting.Close())
		assert.Zero(t, time.Since(begin))
		callers.Wait()
		assert.Equal(t, []string{"running", "last"}, b.sources())
		synctest.Wait()
		assert.Equal(t, cache.LimiterStatus{Slots: 1}, l.Status())
	})
}

func TestLimiterTreatsRefreshWithoutCallerAsBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b tracker
		l := cache.NewLimiter(1)
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		first := newCache(t, b.source("first", nil), withLimiter(l))
		behind := newCache(t, b.source("behind", nil), withLimiter(l))
		wanted := newCache(t, b.source("wanted", nil), withLimiter(l))
		retrieve(t, first)
		var callers sync.WaitGroup
		for range 2 { // the second caller waits for the attempt of the first
			callers.Go(func() { retrieve(t, behind) })
		}
		callers.Wait()
		b.order = nil
		time.Sleep(30 * time.Minute)
		require.ErrorIs(t, first.Refresh(canceled), context.Canceled)
		require.ErrorIs(t, behind.Refresh(canceled), context.Canceled)
		retrieve(t, wanted)
		synctest.Wait()
		time.Sleep(2 * time.Second)
		assert.Equal(t, []string{"first", "wanted", "behind"}, b.sources())
	})
}

func TestLimiterBatchesRefreshes(t *testing.T) {
	tests := []struct {
		name     string
		limited  bool
		lifetime time.Duration
		together bool
	}{
		{"with a Limiter", true, 10 * time.Minute, true},
		{"with a Limiter, but a short lifetime", true, 30 * time.Second, false},
		{"without a Limiter", false, 10 * time.Minute, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var limiter *cache.Limiter
				if test.limited {
					limiter = cache.NewLimiter(1000)
				}
				var mu sync.Mutex
				parts := map[int]bool{} // nanoseconds within a second
				for range 300 {
					time.Sleep(time.Millisecond) // the Caches start at different times
					begin := time.Now()
					retrieve(t, newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
						mu.Lock()
						defer mu.Unlock()
						if now := time.Now(); now != begin {
							assert.InDelta(t, 0.7, now.Sub(begin).Seconds()/test.lifetime.Seconds(), 0.1+0.002)
							parts[now.Nanosecond()] = true
						}
						return keys(1, test.lifetime), nil
					}), func(o *cache.Options) { o.Limiter = limiter }))
				}
				time.Sleep(test.lifetime)
				mu.Lock()
				defer mu.Unlock()
				if test.together {
					assert.Len(t, parts, 1)
				} else {
					assert.Greater(t, len(parts), 250)
				}
			})
		})
	}
}
