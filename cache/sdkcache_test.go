package cache_test

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/test/testsize"
)

// The cfg.Credentials returned by config.LoadDefaultConfig is the SDK's own cache. Only a scheduled
// refresh invalidates it.
func TestCacheWithSDKCacheSurvivesOutage(t *testing.T) {
	for outage := range testsize.Choose(4, 12, 20) { // minutes into the hour
		begin := time.Duration(outage*60/testsize.Choose(4, 12, 20)) * time.Minute
		t.Run(fmt.Sprint("outage after ", begin), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{lifetime: time.Hour, delay: 300 * time.Millisecond}
				c := newCache(t, aws.NewCredentialsCache(s), func(o *cache.Options) { o.Logger = slog.New(slog.DiscardHandler) })
				retrieve(t, c)
				hours := testsize.Choose(5, 10, 20)
				down := 5 * time.Hour
				if hours <= 5 {
					down = 2 * time.Hour
				}
				down += begin
				for start := time.Now(); time.Since(start) < time.Duration(hours)*time.Hour; time.Sleep(time.Second) {
					switch time.Since(start).Truncate(time.Second) {
					case down:
						s.setError(errBroken)
					case down + 15*time.Minute:
						s.setError(nil)
					}
					asked := time.Now()
					retrieve(t, c)
					require.Zero(t, time.Since(asked), "a caller waited")
				}
				assert.LessOrEqual(t, float64(s.count()), 1.7*float64(hours)+60, "including the attempts during the outage")
				require.NoError(t, c.Close())
				time.Sleep(s.delay) // a call to the SDK's cache does not end with its context
			})
		})
	}
}

func TestCacheWithSDKCacheMakesFewCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, aws.NewCredentialsCache(s))
		for range 100 * 60 {
			retrieve(t, c)
			time.Sleep(time.Minute)
		}
		assert.LessOrEqual(t, s.count(), 170)
		assert.Greater(t, s.count(), 130)
	})
}

func TestCacheWithSDKCacheRefreshes15MinutesBeforeExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 200 {
			c := newCache(t, aws.NewCredentialsCache(&source{lifetime: time.Hour}))
			creds := retrieve(t, c)
			assert.Greater(t, creds.Expires.Sub(c.Status().RefreshAt), 15*time.Minute)
		}
	})
}

// Another user of the SDK's cache, such as a client created earlier, may have refreshed it.
func TestCacheWithSDKCacheInvalidatesOnlyItsOwnKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		sdk := aws.NewCredentialsCache(s)
		c := newCache(t, sdk)
		assert.Equal(t, "AK1", retrieve(t, c).AccessKeyID)
		time.Sleep(10 * time.Minute)
		sdk.Invalidate()
		assert.Equal(t, "AK2", retrieve(t, sdk).AccessKeyID)
		require.NoError(t, c.Refresh(t.Context()))
		assert.Equal(t, "AK2", retrieve(t, c).AccessKeyID, "the newer credentials are used")
		assert.Equal(t, 2, s.count())

		s.setError(errBroken)
		time.Sleep(2 * time.Second)
		require.Error(t, c.Refresh(t.Context()))
		calls := s.count()
		s.setError(nil)
		assert.Equal(t, fmt.Sprint("AK", calls+1), retrieve(t, sdk).AccessKeyID, "the failed refresh had invalidated the SDK's cache")
		time.Sleep(time.Minute) // retries continue and use the available credentials
		assert.Equal(t, calls+1, s.count(), "the SDK's cache is not invalidated after a failed attempt")
		assert.Equal(t, retrieve(t, sdk).AccessKeyID, retrieve(t, c).AccessKeyID)
	})
}
