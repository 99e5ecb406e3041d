package cache_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

// requireReturns fails the test if f does not return. Its timeout uses the real clock, because the
// clock of a bubble does not advance while a goroutine waits for a lock.
func requireReturns(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		require.FailNow(t, "deadlock")
	}
}

// userContext is a context whose methods run a function first.
type userContext struct {
	context.Context
	run func()
}

func (c userContext) Done() <-chan struct{} { c.run(); return c.Context.Done() }
func (c userContext) Err() error            { c.run(); return c.Context.Err() }
func (c userContext) Value(key any) any     { c.run(); return c.Context.Value(key) }

// userError is an error whose methods run a function first.
type userError struct{ run func() }

func (e userError) Error() string   { e.run(); return "user code" }
func (e userError) Is(error) bool   { e.run(); return false }
func (e userError) As(any) bool     { e.run(); return false }
func (e userError) Unwrap() []error { e.run(); return nil }

// expiredContext returns a context whose deadline has passed.
func expiredContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	t.Cleanup(cancel)
	return ctx
}

// ignoreRecursion returns f protected against recursion: nested calls do nothing.
func ignoreRecursion(f func()) func() {
	var inside atomic.Bool
	return func() {
		if inside.CompareAndSwap(false, true) {
			defer inside.Store(false)
			f()
		}
	}
}

// callEverything calls every method of c that returns without waiting for an attempt.
func callEverything(ended context.Context, c *cache.Cache) {
	_, _ = c.Retrieve(ended)
	_ = c.Refresh(ended)
	c.Invalidate(keys(1, time.Hour))
	_ = c.Replace(ended, keys(1, time.Hour), 0)
	c.Wake()
	_, _ = c.MinTTL(time.Minute).Retrieve(ended)
	_ = c.Status().Healthy()
}

// blockingMethods are the methods that take a context.
var blockingMethods = []struct {
	name string
	call func(*cache.Cache, context.Context)
}{
	{"Retrieve", func(c *cache.Cache, ctx context.Context) { _, _ = c.Retrieve(ctx) }},
	{"Refresh", func(c *cache.Cache, ctx context.Context) { _ = c.Refresh(ctx) }},
	{"Replace", func(c *cache.Cache, ctx context.Context) { _ = c.Replace(ctx, keys(1, time.Hour), 0) }},
	{"MinTTL", func(c *cache.Cache, ctx context.Context) { _, _ = c.MinTTL(time.Minute).Retrieve(ctx) }},
}

// newUnclosed returns a Cache with a Limiter. The test does not close it at its end, which would hang
// after a deadlock.
func newUnclosed(s aws.CredentialsProvider) (*cache.Cache, *cache.Limiter) {
	limiter := cache.NewLimiter(1)
	return cache.New(s, func(o *cache.Options) {
		o.Limiter, o.Logger = limiter, slog.New(slog.DiscardHandler)
	}), limiter
}

func TestCacheCallsUserCodeWithoutLock(t *testing.T) {
	t.Parallel() // it waits for backoffs
	for _, tt := range blockingMethods {
		t.Run(tt.name, func(t *testing.T) {
			ended := expiredContext(t)
			for _, ctx := range []context.Context{t.Context(), ended} {
				var c *cache.Cache
				run := ignoreRecursion(func() { callEverything(ended, c) })
				s := &source{lifetime: time.Hour, err: userError{run}}
				c, _ = newUnclosed(s)
				requireReturns(t, func() {
					assert.Error(t, c.Refresh(t.Context()), "the next calls report this error")
					tt.call(c, userContext{ended, run})
					s.setError(nil)
					tt.call(c, userContext{ctx, run})
					assert.NoError(t, c.Close())
				})
			}
		})
	}
}

func TestCacheCloseInContextMethod(t *testing.T) {
	for _, tt := range blockingMethods {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := newUnclosed(&source{lifetime: time.Hour})
			closeIt := func() {
				go c.Close()
				for c.Status().State != cache.Closed {
					runtime.Gosched()
				}
			}
			requireReturns(t, func() { tt.call(c, userContext{t.Context(), closeIt}) })
		})
	}
}

func TestCacheSurvivesPanicInContext(t *testing.T) {
	for _, tt := range blockingMethods {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := newUnclosed(&source{lifetime: time.Hour})
			requireReturns(t, func() {
				assert.Panics(t, func() { tt.call(c, userContext{t.Context(), func() { panic("user code") }}) })
				retrieve(t, c)
				assert.NoError(t, c.Close())
			})
		})
	}
}

func TestRefreshWithNilContextUnlocks(t *testing.T) {
	c, _ := newUnclosed(&source{lifetime: time.Hour})
	var none context.Context
	requireReturns(t, func() {
		assert.Panics(t, func() { _ = c.Refresh(none) })
		retrieve(t, c)
		assert.NoError(t, c.Close())
	})
}

func TestCacheSurvivesPanicInError(t *testing.T) {
	t.Parallel()
	s := &source{lifetime: time.Hour, err: userError{func() { panic("user code") }}}
	c, limiter := newUnclosed(s)
	ended := expiredContext(t)
	requireReturns(t, func() {
		require.Error(t, c.Refresh(t.Context()))
		_, err := c.Retrieve(ended)
		require.Error(t, err)
		s.setError(nil)
		retrieve(t, c)
		require.NoError(t, c.Close())
		assert.Zero(t, limiter.Status().Running)
	})
}

func TestStatusCountsErrorsOfCanceledSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, &source{err: errors.Join(errBroken, context.Canceled)})
		_, err := c.Retrieve(t.Context())
		require.ErrorIs(t, err, context.Canceled)
		assert.EqualValues(t, 1, c.Status().ErrorCount)
	})
}
