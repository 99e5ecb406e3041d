package cache_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

func TestCacheStopsRefreshingIdleCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: time.Second}
		c := newCache(t, s, func(o *cache.Options) { o.MaxIdleLifetimes = 2 })
		retrieve(t, c)
		for s.count() < 3 {
			time.Sleep(time.Minute)
		}
		time.Sleep(50 * time.Minute)
		assert.Equal(t, cache.Stale, c.Status().State)
		assert.Zero(t, c.Status().NextAttempt, "the next caller starts it")
		time.Sleep(24 * time.Hour)
		assert.Equal(t, 3, s.count(), "the first lifetime and two unused ones")
		begin := time.Now()
		retrieve(t, c)
		assert.Equal(t, time.Second, time.Since(begin), "the first caller after the pause waits")
		for range 24 * 60 {
			begin := time.Now()
			retrieve(t, c)
			assert.Zero(t, time.Since(begin))
			time.Sleep(time.Minute)
		}
		assert.Greater(t, s.count(), 25)

		view := c.MinTTL(10 * time.Minute)
		before := s.count()
		for range 24 * 60 { // callers of a view also count
			_, err := view.Retrieve(t.Context())
			require.NoError(t, err)
			time.Sleep(time.Minute)
		}
		assert.Greater(t, s.count(), before+25)
	})
}

func TestCacheRetrieveWithMaxIdleLifetimesDoesNotAllocate(t *testing.T) {
	s := &source{lifetime: time.Hour}
	c := newCache(t, s, func(o *cache.Options) { o.MaxIdleLifetimes = 2 })
	retrieve(t, c)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = c.Retrieve(t.Context()) }))
}
