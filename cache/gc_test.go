package cache_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

// collectGarbage runs the garbage collector until there is nothing left to free.
func collectGarbage() {
	for range 3 {
		runtime.GC()
	}
}

func TestCacheIsCollectedWithoutClose(t *testing.T) {
	drop := func(t *testing.T, s *source) weak.Pointer[cache.Cache] {
		c := cache.New(s)
		retrieve(t, c)
		c.MinTTL(time.Minute)
		return weak.Make(c)
	}
	check := func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		dropped := drop(t, s)
		collectGarbage()
		assert.Nil(t, dropped.Value())
	}
	t.Run("outside a bubble", check)
	t.Run("in a bubble with a pending timer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &source{lifetime: time.Hour}
			dropped := drop(t, s)
			synctest.Wait()
			collectGarbage()
			assert.Nil(t, dropped.Value())
			time.Sleep(24 * time.Hour)
			assert.Equal(t, 1, s.count())
		})
	})
	t.Run("kept while an attempt runs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &source{lifetime: time.Hour, delay: 5 * time.Second}
			c := cache.New(s)
			dropped := weak.Make(c)
			go func(c *cache.Cache) { _, _ = c.Retrieve(t.Context()) }(c)
			synctest.Wait()
			collectGarbage()
			assert.NotNil(t, dropped.Value())
			time.Sleep(10 * time.Second)
			synctest.Wait()
			collectGarbage()
			assert.Nil(t, dropped.Value())
		})
	})
}

// The Pool of package irsa drops Caches whose attempts still wait for a slot.
func TestCacheIsCollectedWhileAttemptWaitsForSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := cache.NewLimiter(1)
		withLimiter := func(o *cache.Options) { o.Limiter = l }
		hung := newCache(t, &source{hung: true}, withLimiter)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_ = hung.Refresh(ended)
		dropped := map[weak.Pointer[cache.Cache]]*source{}
		for range 1000 {
			s := &source{lifetime: time.Hour}
			c := cache.New(s, withLimiter)
			_ = c.Refresh(ended)
			dropped[weak.Make(c)] = s
		}
		kept := newCache(t, &source{lifetime: time.Hour}, withLimiter)
		_ = kept.Refresh(ended)
		require.Equal(t, 1001, l.Status().Waiting)
		collectGarbage()
		for c := range dropped {
			require.Nil(t, c.Value())
		}
		time.Sleep(attemptTimeout)
		synctest.Wait()
		for _, s := range dropped {
			require.Zero(t, s.count())
		}
		assert.True(t, kept.TryRetrieve(new(aws.Credentials)), "its attempt had its turn")
		assert.Equal(t, cache.LimiterStatus{Slots: 1}, l.Status())
	})
}

func TestMinTTLIgnoresCollectedViews(t *testing.T) {
	t.Parallel() // waits for a second
	c := newCache(t, &source{lifetime: time.Hour})
	retrieve(t, c)
	refreshAt := c.Status().RefreshAt
	_, err := c.MinTTL(30 * time.Minute).Retrieve(t.Context())
	require.NoError(t, err)
	require.False(t, c.Status().RefreshAt.After(refreshAt))
	require.Eventually(t, func() bool {
		runtime.GC()
		require.NoError(t, c.Refresh(t.Context()))
		return c.Status().RefreshAt.Sub(c.Status().LastSuccess) > 33*time.Minute
	}, time.Minute, time.Second)
}
