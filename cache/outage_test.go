package cache_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/test/testsize"
)

// retrieveEvery starts callers that each call Retrieve at the given pace. The returned function stops
// them and returns the times of failed calls.
func retrieveEvery(t *testing.T, c aws.CredentialsProvider, pace time.Duration, callers int) (stop func() []time.Time) {
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		failed []time.Time
		done   = make(chan struct{})
	)
	for range callers {
		wg.Go(func() {
			for {
				if _, err := c.Retrieve(t.Context()); err != nil {
					mu.Lock()
					failed = append(failed, time.Now())
					mu.Unlock()
				}
				select {
				case <-time.After(pace):
				case <-done:
					return
				}
			}
		})
	}
	return func() []time.Time {
		close(done)
		wg.Wait()
		return failed
	}
}

func TestCacheServesStaleDuringOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: 100 * time.Millisecond}
		c := newCache(t, s)
		creds := retrieve(t, c)
		stop := retrieveEvery(t, c, time.Second, 10)
		s.setError(errBroken)
		time.Sleep(time.Until(creds.Expires) - 5*time.Second)
		assert.Equal(t, cache.Stale, c.Status().State)
		s.setError(nil)
		time.Sleep(5 * time.Second)
		assert.Empty(t, stop())
		assert.Equal(t, cache.Fresh, c.Status().State)
		assert.Less(t, s.count(), 45)
	})
}

// requireSpacing checks that there are at most five attempts in ten seconds and, after the first ten
// seconds, that attempts are at least four seconds apart.
func requireSpacing(t *testing.T, calls []time.Duration) {
	t.Helper()
	for i, first := range calls {
		n := 0
		for _, call := range calls[i:] {
			if call-first < 10*time.Second {
				n++
			}
		}
		require.LessOrEqual(t, n, 5, "in the ten seconds after %v", first)
		if first-calls[0] > 10*time.Second {
			require.GreaterOrEqual(t, first-calls[i-1], 4*time.Second, "before %v", first)
		}
	}
}

// The last attempt starts just before the end of serving, and the earlier attempts are still spaced.
func TestCacheSurvivesOutageUntilTwoSecondsBeforeEndOfServing(t *testing.T) {
	for _, lifetime := range []time.Duration{20 * time.Second, time.Minute, time.Hour} {
		for range testsize.Choose(6, 30, 30) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{lifetime: lifetime, delay: 100 * time.Millisecond}
				c := newCache(t, s)
				creds := retrieve(t, c)
				stop := retrieveEvery(t, c, 100*time.Millisecond, 1)
				s.setError(errBroken)
				began := time.Now()
				time.Sleep(time.Until(creds.Expires) - 2*time.Second)
				calls := s.callsSince(began)
				s.setError(nil)
				time.Sleep(5 * time.Second)
				assert.Empty(t, stop(), "lifetime %v", lifetime)
				requireSpacing(t, calls)
			})
		}
	}
}

func TestCacheRecoversWithinSixSecondsOfOutage(t *testing.T) {
	t.Parallel()
	for _, callers := range []int{1, testsize.Choose(100, 1000, 1000)} {
		synctest.Test(t, func(t *testing.T) {
			s := &source{lifetime: 15 * time.Minute, err: errBroken}
			c := newCache(t, s)
			start := time.Now()
			stop := retrieveEvery(t, c, 2*time.Second, callers)
			time.Sleep(5 * time.Minute)
			requireSpacing(t, s.callsSince(start))
			s.setError(nil)
			back := time.Now()
			time.Sleep(time.Minute)
			failed := stop()
			require.NotEmpty(t, failed)
			for _, at := range failed {
				require.LessOrEqual(t, at.Sub(back), 6*time.Second)
			}
		})
	}
}

func TestCacheShortensBackoffAtEndOfServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		creds := retrieve(t, c)
		stop := retrieveEvery(t, c, 100*time.Millisecond, 3)
		s.setError(errBroken)
		time.Sleep(time.Until(creds.Expires))
		ended := time.Now()
		time.Sleep(time.Minute)
		stop()
		calls := s.callsSince(ended)
		require.NotEmpty(t, calls)
		assert.LessOrEqual(t, calls[0], 6*time.Second)
		for i := range calls[1:] {
			assert.GreaterOrEqual(t, calls[i+1]-calls[i], 4*time.Second)
		}
	})
}

func TestCacheRetriesOnlyOnDemandAfterExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		creds := retrieve(t, c)
		s.setError(errBroken)
		time.Sleep(time.Until(creds.Expires) + time.Minute)
		synctest.Wait()
		before := s.count()
		time.Sleep(24 * time.Hour)
		assert.Equal(t, before, s.count())
		s.setError(nil)
		retrieve(t, c) // the next caller starts an attempt and waits for it
		assert.Equal(t, before+1, s.count())
	})
}

func TestCacheBackoffGrowsForPermanentErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, err: errBroken}
		c := newCache(t, s, allPermanent)
		start := time.Now()
		stop := retrieveEvery(t, c, time.Second, 10)
		time.Sleep(time.Hour)
		calls := s.callsSince(start)
		stop()
		requireSpacing(t, calls)
		for i := range calls[1:] {
			assert.LessOrEqual(t, calls[i+1]-calls[i], 30*time.Second)
		}
		last := len(calls) - 1
		assert.GreaterOrEqual(t, calls[last]-calls[last-1], 24*time.Second)
	})
}

func TestCacheReturnsLastErrorDuringBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: time.Second, err: errBroken}
		c := newCache(t, s)
		_, err := c.Retrieve(t.Context())
		require.ErrorIs(t, err, errBroken)
		start := time.Now()
		_, err = c.Retrieve(t.Context())
		var failure *cache.Error
		require.ErrorAs(t, err, &failure)
		assert.Zero(t, time.Since(start))
		assert.Equal(t, 3, failure.Failures)
		assert.InDelta(t, 2.25, time.Until(failure.NextAttempt).Seconds(), 0.26)
		assert.Equal(t, failure.NextAttempt, c.Status().NextAttempt)
		assert.EqualError(t, err, "cache: no new credentials: broken", "nothing that changes between attempts")
	})
}

// Callers do not notice an outage that ends just before the end of serving.
func TestCacheSurvivesOutageUntilJustBeforeEndOfServing(t *testing.T) {
	for _, tt := range []struct{ lifetime, minTTL, later time.Duration }{ // later: the end of another view comes first
		{15 * time.Minute, 0, 0},
		{time.Hour, 0, 0},
		{time.Hour, 30 * time.Minute, 0},
		{time.Hour, 10 * time.Second, 0},
		{time.Hour, 10 * time.Minute, 30 * time.Minute},
		{time.Hour, 0, 30 * time.Minute},
		{time.Hour, 0, 10 * time.Second},
		{time.Hour, 0, time.Second},
	} {
		for _, before := range []time.Duration{2 * time.Second, 900 * time.Millisecond, 300 * time.Millisecond} {
			for range testsize.Choose(3, 20, 40) {
				synctest.Test(t, func(t *testing.T) {
					s := &source{lifetime: tt.lifetime, delay: 100 * time.Millisecond}
					c := newCache(t, s)
					other, view := c.MinTTL(tt.later), c.MinTTL(tt.minTTL)
					creds := retrieve(t, view)
					end := creds.Expires.Add(-tt.minTTL)
					s.setError(errBroken)
					time.Sleep(time.Until(end) - 10*time.Second)
					stop := retrieveEvery(t, view, 10*time.Millisecond, 1)
					time.Sleep(time.Until(end) - before)
					s.setError(nil)
					time.Sleep(5 * time.Second)
					assert.Empty(t, stop(), "outage until %v before the end of serving: %v", before, tt)
					runtime.KeepAlive(other)
				})
			}
		}
	}
}

// Caches that start together stop serving at different times, so their last attempts are spread as well.
func TestCacheSpreadsLastAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pods = 500
		var mu sync.Mutex
		last := map[int]time.Time{}
		end := time.Now().Add(time.Hour)
		for n := range pods {
			first := true
			c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				mu.Lock()
				defer mu.Unlock()
				if first {
					first = false
					return aws.Credentials{AccessKeyID: fmt.Sprint(n), SecretAccessKey: "secret", CanExpire: true, Expires: end}, nil
				}
				last[n] = time.Now()
				return aws.Credentials{}, errBroken
			}), func(o *cache.Options) { o.Logger = slog.New(slog.DiscardHandler) })
			retrieve(t, c)
		}
		time.Sleep(time.Until(end))
		mu.Lock()
		defer mu.Unlock()
		tenths := map[time.Duration]int{}
		for _, at := range last {
			tenths[end.Sub(at).Truncate(100*time.Millisecond)]++
		}
		require.Len(t, last, pods)
		for before, n := range tenths {
			assert.LessOrEqual(t, n, pods/10, "last attempts %v before the expiry", before)
		}
	})
}
