package cache_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/test/testsize"
)

// cachingSource is a source that returns the same credentials until early before they expire.
type cachingSource struct {
	lifetime, early, delay time.Duration

	mu     sync.Mutex
	number int
	calls  []time.Time
	now    aws.Credentials
}

func (s *cachingSource) Retrieve(context.Context) (aws.Credentials, error) {
	time.Sleep(s.delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, time.Now())
	if time.Until(s.now.Expires) <= s.early {
		s.number++
		s.now = keys(s.number, s.lifetime)
	}
	return s.now, nil
}

func (s *cachingSource) remaining() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Until(s.now.Expires)
}

// Returning the same credentials again is not a failure. The instance metadata service, the container
// endpoint and credential_process do so for most of the lifetime, some of them until the end.
func TestCacheWithCachingSource(t *testing.T) {
	t.Parallel()
	for _, lifetime := range []time.Duration{time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour} {
		for _, early := range []time.Duration{0, 500 * time.Millisecond, 5 * time.Second, 5 * time.Minute} {
			if early >= lifetime/2 {
				continue
			}
			t.Run(fmt.Sprintf("lifetime %v, renewed %v before the expiry", lifetime, early), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var log bytes.Buffer
					var events []cache.Event
					s := &cachingSource{lifetime: lifetime, early: early, delay: 50 * time.Millisecond}
					c := newCache(t, s, logTo(&log), func(o *cache.Options) {
						o.Observe = func(e cache.Event) { events = append(events, e) }
					})
					lifetimes := testsize.Choose(2, 4, 8)
					waits, expires := map[string]int{}, map[string]map[time.Time]bool{}
					for begin := time.Now(); time.Since(begin) < time.Duration(lifetimes)*lifetime; time.Sleep(time.Second) {
						start := time.Now()
						creds, err := c.Retrieve(t.Context())
						require.NoError(t, err)
						if time.Since(start) > 0 {
							waits[creds.AccessKeyID]++
							require.LessOrEqual(t, time.Since(start), time.Second+s.delay)
						}
						require.True(t, time.Now().Before(creds.Expires))
						require.Zero(t, c.Status().Failures)
						if expires[creds.AccessKeyID] == nil {
							expires[creds.AccessKeyID] = map[time.Time]bool{}
						}
						expires[creds.AccessKeyID][creds.Expires] = true
					}
					for key, n := range waits {
						assert.LessOrEqual(t, n, 1, "callers that waited for %s", key)
					}
					for key, ends := range expires {
						assert.LessOrEqual(t, len(ends), 2, "values of Expires of %s", key)
					}
					for i := 1; i < len(s.calls); i++ {
						require.GreaterOrEqual(t, s.calls[i].Sub(s.calls[i-1]), time.Second, "calls of the source")
					}
					assert.LessOrEqual(t, len(s.calls), 16*(lifetimes+1))
					synctest.Wait()
					assert.Empty(t, log.String())
					for _, event := range events {
						assert.NoError(t, event.Status.Err)
					}
					assert.LessOrEqual(t, len(events), lifetimes*2+2, "events only for new credentials")
				})
			})
		}
	}
}

// The Cache also recovers from an outage that starts while the source repeats its credentials.
func TestCacheWithCachingSourceRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &cachingSource{lifetime: time.Hour, early: time.Minute}
		var log bytes.Buffer
		c := newCache(t, aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			if left := s.remaining(); left > 3*time.Minute && left < 13*time.Minute {
				return aws.Credentials{}, errBroken
			}
			return s.Retrieve(ctx)
		}), logTo(&log))
		for range 12 * 3600 {
			retrieve(t, c)
			if left := s.remaining(); left > 62*time.Second && left < 90*time.Second {
				synctest.Wait()
				require.Zero(t, c.Status().Failures, "repeated credentials end a series of failures")
				require.Equal(t, strings.Count(log.String(), "refresh failed"), strings.Count(log.String(), "recovered"))
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		assert.NotContains(t, log.String(), "level=ERROR")
		assert.Contains(t, log.String(), "credentials refresh recovered")
	})
}

func TestCacheKeepsCredentialsWithLaterExpiry(t *testing.T) {
	refresh := func(t *testing.T, c *cache.Cache) error { return c.Refresh(t.Context()) }
	replace := func(t *testing.T, c *cache.Cache) error {
		return c.Replace(t.Context(), retrieve(t, c), time.Minute)
	}
	for name, tt := range map[string]struct {
		lifetime time.Duration // lifetime of the second credentials
		request  func(t *testing.T, c *cache.Cache) error
		err      error
		kept     bool
	}{
		"Refresh, 2 s":   {2 * time.Second, refresh, nil, true},
		"Refresh, 5 min": {5 * time.Minute, refresh, nil, true},
		"Replace, 2 s":   {2 * time.Second, replace, cache.ErrRejected, true},
		"Replace, 5 min": {5 * time.Minute, replace, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{lifetime: time.Hour}
				c := newCache(t, s)
				first := retrieve(t, c)
				time.Sleep(11 * time.Minute)
				s.mu.Lock()
				s.lifetime = tt.lifetime
				s.mu.Unlock()
				require.ErrorIs(t, tt.request(t, c), tt.err)
				assert.Equal(t, tt.kept, first == retrieve(t, c))
				assert.Zero(t, c.Status().Failures)
				s.mu.Lock()
				s.lifetime = time.Hour
				s.mu.Unlock()
				time.Sleep(45 * time.Minute)
				assert.NotEqual(t, first.AccessKeyID, retrieve(t, c).AccessKeyID, "credentials with a later expiry are used")
			})
		})
	}
}

// The source corrects the expiry of credentials that it has returned before.
func TestCacheUsesEarlierExpiryOfSameCredentials(t *testing.T) {
	for _, corrected := range []time.Duration{50 * time.Minute, 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := &source{lifetime: time.Hour}
			c := newCache(t, aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
				creds, err := s.Retrieve(ctx)
				creds.AccessKeyID = "AK1"
				return creds, err
			}))
			retrieve(t, c)
			s.lifetime = corrected
			require.NoError(t, c.Refresh(t.Context()))
			assert.Less(t, time.Until(retrieve(t, c).Expires), corrected)
			assert.Equal(t, cache.Fresh, c.Status().State)
		})
	}
}

func TestCacheReplacesKeptCredentialsAtEndOfServing(t *testing.T) {
	for _, before := range []time.Duration{4 * time.Second, 100 * time.Millisecond} { // before it, shorter-lived ones were returned
		synctest.Test(t, func(t *testing.T) {
			var sooner atomic.Bool
			s := &source{lifetime: time.Hour}
			c := newCache(t, aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
				creds, err := s.Retrieve(ctx)
				if sooner.Load() {
					creds.Expires = time.Now().Add(2 * time.Second)
				}
				return creds, err
			}))
			end := retrieve(t, c).Expires
			sooner.Store(true)
			time.Sleep(time.Until(end) - before)
			require.NoError(t, c.Refresh(t.Context()))
			sooner.Store(false)
			time.Sleep(time.Until(end))
			start := time.Now()
			retrieve(t, c)
			assert.LessOrEqual(t, time.Since(start), time.Second, "the spacing of attempts")
		})
	}
}

// Callers of a view do not wait if the source renews its credentials earlier than the view requires.
func TestMinTTLDoesNotWaitForCachingSource(t *testing.T) {
	for _, tt := range []struct{ early, minTTL, longer time.Duration }{ // longer: the minimum TTL of another view
		{25 * time.Minute, 20 * time.Minute, 0},
		{20*time.Minute + 15*time.Second, 20 * time.Minute, 0},
		{12 * time.Minute, 10 * time.Minute, 30 * time.Minute},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &cachingSource{lifetime: time.Hour, early: tt.early, delay: 300 * time.Millisecond}
				c := newCache(t, s)
				view, other := c.MinTTL(tt.minTTL), c.MinTTL(tt.longer)
				for range testsize.Choose(4, 10, 20) * 3600 {
					retrieve(t, view)
					time.Sleep(time.Second)
				}
				assert.EqualValues(t, 1, c.Status().WaitCount, "only the first caller waited")
				runtime.KeepAlive(other)
			})
		})
	}
}

// A view created while the source repeats its credentials also does not make its callers wait.
func TestMinTTLCreatedLateDoesNotWaitForCachingSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &cachingSource{lifetime: 6 * time.Hour, delay: 300 * time.Millisecond}
		c := newCache(t, s)
		retrieve(t, c)
		time.Sleep(time.Until(c.Status().RefreshAt) + time.Second)
		synctest.Wait()
		require.Len(t, s.calls, 2)
		left := c.Status().Expires.Sub(c.Status().RefreshAt) // at the next attempt
		view := c.MinTTL(left + 5*time.Minute)
		s.mu.Lock()
		s.early = left + 10*time.Minute
		s.mu.Unlock()
		for range 4 * 3600 {
			retrieve(t, view)
			time.Sleep(time.Second)
		}
		assert.EqualValues(t, 1, c.Status().WaitCount, "only the first caller waited")
	})
}
