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

// endedContext returns a context that is done, so that Replace starts an attempt without waiting.
func endedContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestReplaceServesRejectedCredentialsMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: 2 * time.Second}
		c := newCache(t, s)
		first := retrieve(t, c)
		require.ErrorIs(t, c.Replace(t.Context(), first, time.Minute), cache.ErrRejected, "received within minAge")
		assert.Equal(t, 1, s.count())

		time.Sleep(time.Minute)
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() {
				start := time.Now()
				assert.NoError(t, c.Replace(t.Context(), first, time.Minute))
				assert.Equal(t, 2*time.Second, time.Since(start), "all callers wait for one attempt")
			})
		}
		time.Sleep(time.Second)
		start := time.Now()
		assert.Equal(t, first, retrieve(t, c))
		assert.Zero(t, time.Since(start), "callers of Retrieve do not wait")
		callers.Wait()
		assert.Equal(t, 2, s.count())
		assert.NotEqual(t, first.AccessKeyID, retrieve(t, c).AccessKeyID)
		assert.NoError(t, c.Replace(t.Context(), first, time.Minute), "already replaced")
		assert.NoError(t, c.Replace(t.Context(), aws.Credentials{}, 0))
		assert.Equal(t, 2, s.count())
	})
}

func TestReplaceStartsOneAttemptPerMinAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		same := keys(7, 12*time.Hour)
		calls := 0
		c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { calls++; return same, nil }))
		retrieve(t, c)
		for range 10 * 60 * 10 {
			assert.ErrorIs(t, c.Replace(t.Context(), same, time.Minute), cache.ErrRejected)
			time.Sleep(100 * time.Millisecond)
		}
		assert.LessOrEqual(t, calls, 11)
		assert.Greater(t, calls, 8)
	})
}

// The Cache serves valid credentials even if they were rejected and the source fails.
func TestReplaceDuringOutageKeepsCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: 100 * time.Millisecond}
		c := newCache(t, s)
		first := retrieve(t, c)
		time.Sleep(10 * time.Minute)
		s.setError(errBroken)
		err := c.Replace(t.Context(), first, time.Minute)
		var failure *cache.Error
		require.ErrorAs(t, err, &failure)
		require.ErrorIs(t, err, errBroken)
		for range 600 {
			start := time.Now()
			assert.Equal(t, first, retrieve(t, c))
			assert.ErrorIs(t, c.Replace(t.Context(), first, time.Minute), errBroken)
			assert.LessOrEqual(t, time.Since(start), 100*time.Millisecond, "waits only for an attempt that is due")
			time.Sleep(time.Second)
		}
		assert.LessOrEqual(t, s.count(), 30, "attempts respect the backoff")
	})
}

func TestReplaceTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		first := retrieve(t, c)
		time.Sleep(10 * time.Minute)
		s.setHung(true)
		start := time.Now()
		require.ErrorIs(t, c.Replace(t.Context(), first, time.Minute), context.DeadlineExceeded)
		assert.LessOrEqual(t, time.Since(start), 10*time.Second)
		s.setHung(false)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		require.Error(t, c.Replace(ctx, first, time.Minute))
		assert.LessOrEqual(t, time.Since(start), time.Second)
		require.NoError(t, c.Close())
		assert.ErrorIs(t, c.Replace(t.Context(), first, time.Minute), cache.ErrClosed)
	})
}

func TestReplaceDuringAttemptWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: 5 * time.Second}
		c := newCache(t, s)
		first := retrieve(t, c)
		var caller sync.WaitGroup
		caller.Go(func() { assert.NoError(t, c.Refresh(t.Context())) })
		synctest.Wait()
		require.NoError(t, c.Replace(t.Context(), first, time.Minute))
		caller.Wait()
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 2, s.count())
	})
}

func TestReplaceWithEndedContextDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: time.Second}
		c := newCache(t, s)
		first := retrieve(t, c)
		time.Sleep(2 * time.Minute)
		start := time.Now()
		assert.NoError(t, c.Replace(endedContext(), first, time.Minute))
		assert.Zero(t, time.Since(start))
		time.Sleep(2 * time.Second)
		assert.NotEqual(t, first.AccessKeyID, retrieve(t, c).AccessKeyID)
	})
}

// The attempt starts one second after the previous one. Replace waits for that, too.
func TestReplaceWaitsForSpacedAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &cachingSource{lifetime: time.Hour}
		c := newCache(t, s)
		first := retrieve(t, c)
		time.Sleep(10 * time.Minute)
		require.NoError(t, c.Refresh(t.Context())) // the same credentials
		s.early = time.Hour                        // returns new credentials from now on
		time.Sleep(300 * time.Millisecond)
		start := time.Now()
		require.NoError(t, c.Replace(t.Context(), first, time.Minute))
		assert.Equal(t, 700*time.Millisecond, time.Since(start))
		assert.Equal(t, "AK2", retrieve(t, c).AccessKeyID)
	})
}

// The credentials that replace rejected ones may expire sooner, even if the first attempt fails.
func TestReplaceUsesShorterLivedCredentialsAfterFailure(t *testing.T) {
	for name, late := range map[string]bool{"an error": false, "a timeout": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{lifetime: time.Hour}
				c := newCache(t, s)
				rejected := retrieve(t, c)
				time.Sleep(5 * time.Minute)
				s.mu.Lock()
				s.lifetime, s.err, s.hung = 15*time.Minute, errBroken, late
				s.mu.Unlock()
				require.Error(t, c.Replace(t.Context(), rejected, time.Minute))
				require.Equal(t, rejected, retrieve(t, c))
				s.mu.Lock()
				s.err, s.hung = nil, false
				s.mu.Unlock()
				time.Sleep(5 * time.Second)
				replacement := retrieve(t, c)
				require.NotEqual(t, rejected.AccessKeyID, replacement.AccessKeyID, "the rejected key is served")

				s.mu.Lock()
				s.lifetime = 2 * time.Minute
				s.mu.Unlock()
				require.NoError(t, c.Refresh(t.Context()))
				assert.Equal(t, replacement, retrieve(t, c), "it was not rejected")
			})
		})
	}
}
