package cache_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

func TestCacheLimitsAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: time.Minute}
		c := newCache(t, s, func(o *cache.Options) { o.AttemptTimeout = math.MaxInt64 })
		retrieve(t, c)
		assert.Zero(t, c.Status().Failures)

		stuck := &source{hung: true}
		c = newCache(t, stuck, func(o *cache.Options) { o.AttemptTimeout = math.MaxInt64 })
		start := time.Now()
		require.ErrorIs(t, c.Refresh(t.Context()), context.DeadlineExceeded)
		assert.Equal(t, time.Hour, time.Since(start))
	})
}

func TestNewLimiterClampsSlots(t *testing.T) {
	for _, tt := range []struct{ n, want int }{
		{math.MinInt, 1}, {0, 1}, {1, 1}, {1_000_000, 1_000_000}, {1_000_001, 1_000_000}, {math.MaxInt, 1_000_000},
	} {
		limiter := cache.NewLimiter(tt.n)
		assert.Equal(t, tt.want, limiter.Status().Slots)
		c := newCache(t, &source{lifetime: time.Hour}, func(o *cache.Options) { o.Limiter = limiter })
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		_, err := c.Retrieve(ctx)
		cancel()
		require.NoError(t, err)
		assert.Equal(t, tt.want, limiter.Status().Slots)
	}
}

func TestLimiterZeroValueHasNoSlots(t *testing.T) { assert.Zero(t, new(cache.Limiter).Status()) }

func TestCacheAcceptsHugeOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s, func(o *cache.Options) { o.MaxIdleLifetimes = math.MaxInt })
		view := c.MinTTL(math.MaxInt64)
		_, err := view.Retrieve(t.Context())
		require.ErrorIs(t, err, cache.ErrMinTTL)
		time.Sleep(24 * time.Hour)
		assert.Greater(t, s.count(), 24, "refreshed although unused")
	})
}

func TestCacheReportsExpiryInDistantPast(t *testing.T) {
	c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "secret", CanExpire: true, Expires: time.Time{}.Add(time.Hour)}, nil
	}))
	err := c.Refresh(t.Context())
	require.ErrorContains(t, err, "expired")
	assert.NotContains(t, err.Error(), "-", "no negative time")
}

func TestNewCopiesOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept *cache.Options
		c := newCache(t, &source{lifetime: time.Hour, delay: time.Second}, func(o *cache.Options) { kept = o })
		*kept = cache.Options{AttemptTimeout: time.Nanosecond}
		retrieve(t, c)
	})
}
