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
	"github.com/irsakit/irsakit/internal/test/testsize"
)

func TestMinTTLServesWithoutWaiting(t *testing.T) {
	for _, minTTL := range []time.Duration{-time.Minute, 0, time.Minute, 15 * time.Minute, 36 * time.Minute} {
		t.Run(minTTL.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{lifetime: time.Hour, delay: 300 * time.Millisecond}
				c := newCache(t, s)
				view := c.MinTTL(minTTL)
				retrieve(t, view)
				for range 24 * 60 {
					start := time.Now()
					creds := retrieve(t, view)
					require.GreaterOrEqual(t, time.Until(creds.Expires), minTTL)
					require.Zero(t, time.Since(start))
					time.Sleep(time.Minute)
				}
				assert.LessOrEqual(t, s.count(), 100)
			})
		})
	}
}

func TestMinTTLCreatedLateSharesOneRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: time.Second}
		c := newCache(t, s)
		retrieve(t, c)
		time.Sleep(35 * time.Minute)
		view := c.MinTTL(30 * time.Minute)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { assert.GreaterOrEqual(t, time.Until(retrieve(t, view).Expires), 30*time.Minute) })
		}
		wg.Wait()
		assert.Equal(t, 2, s.count())
	})
}

func TestMinTTLAbove60PercentOfLifetimeReturnsError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		view := c.MinTTL(37 * time.Minute)
		for range 100 {
			_, err := view.Retrieve(t.Context())
			require.ErrorIs(t, err, cache.ErrMinTTL)
			require.ErrorContains(t, err, "MinTTL 37m0s exceeds 60% of the lifetime of about 1h0m0s")
		}
		retrieve(t, c)
		assert.Equal(t, 1, s.count(), "only the attempt that revealed the lifetime")
		time.Sleep(30 * time.Minute)
		assert.Equal(t, 1, s.count(), "the refresh is not moved forward")
	})
}

func TestMinTTLRespectsBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		retrieve(t, c)
		view := c.MinTTL(30 * time.Minute)
		s.setError(errBroken)
		start := time.Now()
		time.Sleep(45 * time.Minute)
		before := s.count()
		for range 100 {
			_, err := view.Retrieve(t.Context())
			require.ErrorIs(t, err, errBroken)
			retrieve(t, c) // callers of the Cache are served
		}
		assert.LessOrEqual(t, s.count()-before, 1)
		assert.Less(t, len(s.callsSince(start)), 60)
	})
}

func TestMinTTLKeepsCacheAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		view := cache.New(s).MinTTL(time.Minute)
		steps := testsize.Choose(20, 100, 100)
		for range steps {
			retrieve(t, view)
			collectGarbage()
			time.Sleep(10 * time.Minute)
		}
		assert.Greater(t, s.count(), steps/6, "refreshes continue")
	})
}

func TestMinTTLIgnoresUnsatisfiableViews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: time.Second}
		c := newCache(t, s)
		view, greedy := c.MinTTL(30*time.Minute), c.MinTTL(2*time.Hour)
		retrieve(t, view)
		for range 4 * 60 {
			start := time.Now()
			retrieve(t, view)
			_, err := greedy.Retrieve(t.Context())
			require.ErrorIs(t, err, cache.ErrMinTTL)
			require.Zero(t, time.Since(start))
			time.Sleep(time.Minute)
		}
	})
}

func TestMinTTLWorksOnceLifetimeIsLongEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: 15 * time.Minute, delay: time.Second}
		c := newCache(t, s)
		retrieve(t, c)
		view := c.MinTTL(30 * time.Minute)
		_, err := view.Retrieve(t.Context())
		require.ErrorIs(t, err, cache.ErrMinTTL)
		s.mu.Lock()
		s.lifetime = time.Hour
		s.mu.Unlock()
		require.NoError(t, c.Refresh(t.Context()))
		for range 4 * 60 {
			start := time.Now()
			retrieve(t, view)
			require.Zero(t, time.Since(start))
			time.Sleep(time.Minute)
		}
	})
}

func TestMinTTLServesNonExpiringCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			creds, err := s.Retrieve(ctx)
			creds.CanExpire = s.count() == 1
			return creds, err
		}))
		retrieve(t, c)
		require.NoError(t, c.Refresh(t.Context()))
		retrieve(t, c.MinTTL(10*time.Hour))
	})
}

func TestMinTTLReturnsErrMinTTLOnlyWhileServing(t *testing.T) {
	for name, lifetimes := range map[string]int{"after an outage": 0, "after a pause without refreshes": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{lifetime: 20 * time.Minute}
				c := newCache(t, s, func(o *cache.Options) { o.MaxIdleLifetimes = lifetimes })
				view := c.MinTTL(15 * time.Minute)
				_, err := view.Retrieve(t.Context())
				require.ErrorIs(t, err, cache.ErrMinTTL)
				s.setError(errBroken)
				time.Sleep(25 * time.Minute)
				_, err = view.Retrieve(t.Context())
				require.ErrorIs(t, err, errBroken)
				s.mu.Lock()
				s.lifetime, s.err = time.Hour, nil
				s.mu.Unlock()
				time.Sleep(10 * time.Second)
				retrieve(t, view)
			})
		})
	}
}

func TestMinTTLCountsFailedCallersAsUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: 20 * time.Minute}
		c := newCache(t, s, func(o *cache.Options) { o.MaxIdleLifetimes = 1 })
		view := c.MinTTL(15 * time.Minute)
		for range 10 * 60 {
			start := time.Now()
			_, err := view.Retrieve(t.Context())
			require.ErrorIs(t, err, cache.ErrMinTTL)
			require.Zero(t, time.Since(start))
			time.Sleep(time.Minute)
		}
		retrieve(t, c)
		assert.EqualValues(t, 1, c.Status().WaitCount, "refreshes continue in the background")
	})
}

// The source renews its credentials too late for the view.
func TestMinTTLBacksOffUntilSourceRenews(t *testing.T) {
	for name, key := range map[string]string{"the same credentials": "AK1", "others that expire sooner": "AK9"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{lifetime: time.Hour, delay: 300 * time.Millisecond}
				first, renewal := keys(1, time.Hour), time.Now().Add(55*time.Minute)
				again := first
				if key != first.AccessKeyID {
					again.AccessKeyID, again.Expires = key, first.Expires.Add(-time.Minute)
				}
				c := newCache(t, aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
					creds, err := s.Retrieve(ctx)
					switch {
					case time.Now().After(renewal):
						return creds, err
					case s.count() == 1:
						return first, err
					default:
						return again, err
					}
				}))
				view := c.MinTTL(20 * time.Minute)
				retrieve(t, view)
				time.Sleep(40 * time.Minute)
				for before := s.count(); time.Since(renewal) < time.Minute; {
					start := time.Now()
					_, err := view.Retrieve(t.Context())
					require.LessOrEqual(t, time.Since(start), s.delay)
					require.LessOrEqual(t, s.count()-before, 30)
					retrieve(t, c)
					if err == nil {
						break
					}
					require.ErrorIs(t, err, cache.ErrMinTTL)
					time.Sleep(time.Second)
				}
				retrieve(t, view)
				assert.Zero(t, c.Status().ErrorCount)
			})
		})
	}
}

func TestMinTTLWaitsForOneAttemptPerMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &cachingSource{lifetime: time.Hour, delay: 300 * time.Millisecond}
		c := newCache(t, s)
		view := c.MinTTL(20 * time.Minute)
		retrieve(t, view)
		time.Sleep(45 * time.Minute)
		_, err := view.Retrieve(t.Context())
		require.ErrorIs(t, err, cache.ErrMinTTL)
		s.mu.Lock()
		s.early = time.Hour // returns new credentials from now on
		s.mu.Unlock()
		time.Sleep(time.Minute + time.Second)
		start := time.Now()
		retrieve(t, view)
		assert.Equal(t, s.delay, time.Since(start))
	})
}

func TestMinTTLKeepsRefreshThatIsEarlyEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var with, without []time.Duration
		for range testsize.Choose(50, 400, 400) {
			c := newCache(t, &source{lifetime: time.Hour})
			retrieve(t, c)
			without = append(without, c.Status().RefreshAt.Sub(c.Status().LastSuccess))
			for n := range 1000 {
				c.MinTTL(time.Duration(n%5) * time.Minute)
			}
			with = append(with, c.Status().RefreshAt.Sub(c.Status().LastSuccess))
		}
		assert.Equal(t, without, with)
	})
}
