package cache_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

// Until the next attempt, all callers get the same error value.
func TestRetrieveReturnsSameErrorUntilNextAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		view := c.MinTTL(time.Minute)
		ctx := t.Context()
		requireStanding := func(want error) {
			t.Helper()
			calls := s.count()
			_, first := c.Retrieve(ctx)
			require.ErrorIs(t, first, want)
			for name, p := range map[string]aws.CredentialsProvider{"Retrieve": c, "Retrieve of a view": view} {
				_, err := p.Retrieve(ctx)
				assert.Same(t, first, err, name)
				assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = p.Retrieve(ctx) }), name)
			}
			assert.Equal(t, calls, s.count(), "calls of the source")
		}
		s.setError(errBroken)
		_, err := c.Retrieve(ctx)
		require.Error(t, err)
		requireStanding(errBroken)

		before := c.Status()
		_, err = c.Retrieve(ctx)
		var failure *cache.Error
		require.ErrorAs(t, err, &failure)
		assert.Equal(t, before.NextAttempt, failure.NextAttempt)
		assert.Equal(t, before.ErrorCount+1, c.Status().ErrorCount)
		time.Sleep(time.Until(failure.NextAttempt))
		_, next := c.Retrieve(ctx)
		require.ErrorIs(t, next, errBroken)
		assert.NotSame(t, err, next, "the error of the next attempt")

		s.setError(nil)
		time.Sleep(time.Minute)
		creds := retrieve(t, c)
		c.Invalidate(creds)
		synctest.Wait()
		creds = retrieve(t, c)
		c.Invalidate(creds)
		requireStanding(cache.ErrRejected) // the next attempt starts a minute after the last one
	})
}

// The lifetimes that STS grants differ by a second or two.
func TestMinTTLErrorTextDoesNotChangeBetweenLifetimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		_, before := c.MinTTL(37 * time.Minute).Retrieve(t.Context())
		require.ErrorIs(t, before, cache.ErrMinTTL)
		s.mu.Lock()
		s.lifetime += 2500 * time.Millisecond
		s.mu.Unlock()
		require.NoError(t, c.Refresh(t.Context()))
		_, after := c.MinTTL(37 * time.Minute).Retrieve(t.Context())
		require.EqualError(t, after, before.Error())
	})
}

// A source can return the same expired credentials repeatedly, for example from a file.
func TestErrorTextDoesNotChangeBetweenAttempts(t *testing.T) {
	for name, expires := range map[string]func(start time.Time, attempt int32) time.Time{
		"expired": func(start time.Time, _ int32) time.Time { return start.Add(-time.Hour) },
		"short": func(_ time.Time, attempt int32) time.Time {
			return time.Now().Add(time.Duration(attempt) * 10 * time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var attempts atomic.Int32
				start, texts := time.Now(), map[string]bool{}
				c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return expiring(expires(start, attempts.Add(1))), nil
				}))
				for attempts.Load() < 6 {
					_, err := c.Retrieve(t.Context())
					require.Error(t, err)
					texts[err.Error()] = true
					time.Sleep(time.Second)
				}
				assert.Len(t, texts, 1)
			})
		})
	}
}
