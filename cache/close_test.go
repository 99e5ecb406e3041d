package cache_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

func TestCacheMethodsReturnErrClosedAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := cache.New(s)
		view := c.MinTTL(time.Minute)
		retrieve(t, c)
		require.NoError(t, c.Close())
		require.NoError(t, c.Close())
		_, err := c.Retrieve(t.Context())
		require.ErrorIs(t, err, cache.ErrClosed)
		_, err = view.Retrieve(t.Context())
		require.ErrorIs(t, err, cache.ErrClosed)
		require.ErrorIs(t, c.Refresh(t.Context()), cache.ErrClosed)
		c.Invalidate(keys(1, time.Hour))
		c.Wake()
		c.MinTTL(2 * time.Minute)
		time.Sleep(time.Hour)
		assert.Equal(t, 1, s.count())
		assert.Equal(t, cache.Closed, c.Status().State)
	})
}

func TestCacheCloseCancelsAttemptAndWakesCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		s.setHung(true)
		c := cache.New(s)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				_, err := c.Retrieve(t.Context())
				assert.ErrorIs(t, err, cache.ErrClosed)
			})
			wg.Go(func() { assert.ErrorIs(t, c.Refresh(t.Context()), cache.ErrClosed) })
		}
		synctest.Wait()
		start := time.Now()
		require.NoError(t, c.Close())
		wg.Wait()
		assert.Zero(t, time.Since(start))
	})
}

func TestCacheCloseTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		c := cache.New(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			<-release
			return aws.Credentials{}, errBroken
		}))
		go func() { _, _ = c.Retrieve(t.Context()) }()
		synctest.Wait()
		assert.ErrorContains(t, c.Close(), "the source has not returned")

		c = cache.New(&source{lifetime: time.Hour}, func(o *cache.Options) {
			o.Observe = func(cache.Event) { <-release }
		})
		retrieve(t, c)
		assert.ErrorContains(t, c.Close(), "observer has not returned")

		c = cache.New(&source{err: errBroken}, func(o *cache.Options) {
			o.Logger = slog.New(hungHandler{slog.DiscardHandler, release})
		})
		require.Error(t, c.Refresh(t.Context()))
		assert.ErrorContains(t, c.Close(), "log handler has not returned")
	})
}

// hungHandler blocks on each record until it is released.
type hungHandler struct {
	slog.Handler
	release <-chan struct{}
}

func (hungHandler) Enabled(context.Context, slog.Level) bool    { return true }
func (h hungHandler) Handle(context.Context, slog.Record) error { <-h.release; return nil }
