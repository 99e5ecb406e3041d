package cache_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

func quiet(o *cache.Options) { o.Logger = slog.New(slog.DiscardHandler) }

// newCache returns a Cache that is closed at the end of the test.
func newCache(t *testing.T, s aws.CredentialsProvider, optFns ...func(*cache.Options)) *cache.Cache {
	t.Helper()
	c := cache.New(s, append([]func(*cache.Options){quiet}, optFns...)...)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

func retrieve(t *testing.T, c aws.CredentialsProvider) aws.Credentials {
	t.Helper()
	creds, err := c.Retrieve(t.Context())
	require.NoError(t, err)
	return creds
}

func TestNewDoesNotStartAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		time.Sleep(24 * time.Hour)
		assert.Zero(t, s.count())
		assert.Equal(t, cache.Status{State: cache.Empty}, c.Status())
	})
}

func TestCacheSharesFirstAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: time.Second}
		c := newCache(t, s)
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				creds, err := c.Retrieve(t.Context())
				assert.NoError(t, err)
				assert.Equal(t, "AK1", creds.AccessKeyID)
			})
		}
		wg.Wait()
		assert.Equal(t, 1, s.count())
		assert.Equal(t, cache.Fresh, c.Status().State)
	})
}

func TestCacheReportsEndOfServingAsExpires(t *testing.T) {
	for _, tt := range []struct {
		name             string
		lifetime, margin time.Duration
	}{
		{"an hour: 8 to 10 s before the expiry", time.Hour, 10 * time.Second},
		{"twelve hours: 8 to 10 s before the expiry", 12 * time.Hour, 10 * time.Second},
		{"a minute: 0.8 to 1% before the expiry", time.Minute, 600 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{lifetime: tt.lifetime}
				c := newCache(t, s)
				end := time.Now().Add(tt.lifetime)
				creds := retrieve(t, c)
				assert.LessOrEqual(t, end.Sub(creds.Expires), tt.margin)
				assert.GreaterOrEqual(t, end.Sub(creds.Expires), tt.margin/5*4)
				s.setError(errBroken)
				time.Sleep(time.Until(creds.Expires) - time.Nanosecond)
				assert.Equal(t, "AK1", retrieve(t, c).AccessKeyID)
				time.Sleep(time.Nanosecond)
				_, err := c.Retrieve(t.Context())
				assert.ErrorIs(t, err, errBroken)
			})
		})
	}
}

func TestCacheRefreshesBetween60And80PercentOfLifetime(t *testing.T) {
	for _, lifetime := range []time.Duration{15 * time.Minute, time.Hour, 12 * time.Hour} {
		t.Run(lifetime.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{lifetime: lifetime}
				c := newCache(t, s)
				retrieve(t, c)
				time.Sleep(100 * lifetime) // without callers
				c.Close()
				synctest.Wait()
				for i := range s.calls[1:] {
					pause := s.calls[i+1].Sub(s.calls[i])
					assert.GreaterOrEqual(t, pause, lifetime/10*6)
					assert.Less(t, pause, lifetime/10*8)
				}
				assert.Greater(t, len(s.calls), 100)
			})
		})
	}
}

func TestCacheRetrievesNonExpiringCredentialsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls int
		c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			calls++
			return aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "secret"}, nil
		}))
		retrieve(t, c)
		time.Sleep(10000 * time.Hour)
		assert.Equal(t, "AK", retrieve(t, c.MinTTL(time.Hour)).AccessKeyID)
		assert.Equal(t, cache.Status{State: cache.Fresh, LastSuccess: c.Status().LastSuccess, WaitCount: 1}, c.Status())
		assert.Equal(t, 1, calls)
	})
}

// expiring returns credentials that expire at the given time.
func expiring(at time.Time) aws.Credentials {
	creds := keys(1, 0)
	creds.Expires = at
	return creds
}

func TestCacheTreatsUnusableCredentialsAsFailure(t *testing.T) {
	for _, tt := range []struct {
		name  string
		creds func() aws.Credentials
		want  string
	}{
		{"nothing", func() aws.Credentials { return aws.Credentials{} }, "without keys"},
		{"no secret", func() aws.Credentials { return aws.Credentials{AccessKeyID: "AK"} }, "without keys"},
		{"no access key", func() aws.Credentials { return aws.Credentials{SecretAccessKey: "SK"} }, "without keys"},
		{"expired", func() aws.Credentials { return keys(1, -time.Minute) }, "returned expired credentials: check the clocks"},
		{"expired in the year 1", func() aws.Credentials { return expiring(time.Time{}.Add(1)) }, "returned expired credentials: check the clocks"},
		{"no expiry", func() aws.Credentials { return expiring(time.Time{}) }, "credentials without an expiry"},
		{"the zero time in another zone", func() aws.Credentials { return expiring(time.Time{}.In(time.FixedZone("", 3600))) }, "credentials without an expiry"},
		{"about to expire", func() aws.Credentials { return keys(1, 999*time.Millisecond) }, "a lifetime of less than 1s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return tt.creds(), nil
				}))
				_, err := c.Retrieve(t.Context())
				require.ErrorContains(t, err, tt.want)
				var failure *cache.Error
				require.ErrorAs(t, err, &failure)
				assert.Equal(t, 3, failure.Failures)
				assert.True(t, failure.NextAttempt.After(time.Now()))

				time.Sleep(time.Minute)
				_, later := c.Retrieve(t.Context())
				assert.EqualError(t, later, err.Error(), "the same for the same cause")
			})
		})
	}
}

func TestCacheFirstRetrieveWaitsThroughTwoFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, err: errBroken}
		c := newCache(t, s)
		start := time.Now()
		time.AfterFunc(time.Second, func() { s.setError(nil) })
		retrieve(t, c)
		assert.Less(t, time.Since(start), 1600*time.Millisecond)
		assert.Equal(t, 3, s.count())
	})
}

func TestCacheProviderSources(t *testing.T) {
	assert.Nil(t, newCache(t, &source{}).ProviderSources())
	sourced := newCache(t, &sourcedSource{})
	want := []aws.CredentialSource{aws.CredentialSourceSSO}
	assert.Equal(t, want, sourced.ProviderSources())
	assert.Equal(t, want, sourced.MinTTL(0).(aws.CredentialProviderSource).ProviderSources())
}

type sourcedSource struct{ source }

func (*sourcedSource) ProviderSources() []aws.CredentialSource {
	return []aws.CredentialSource{aws.CredentialSourceSSO}
}

func TestCacheIsCredentialsProvider(t *testing.T) {
	anonymous := newCache(t, aws.AnonymousCredentials{})
	other := newCache(t, &source{})
	for name, p := range map[string][2]aws.CredentialsProvider{
		"the Cache": {anonymous, other},
		"a view":    {anonymous.MinTTL(time.Minute), other.MinTTL(time.Minute)},
	} {
		assert.True(t, aws.IsCredentialsProvider(p[0], aws.AnonymousCredentials{}), name)
		assert.True(t, aws.IsCredentialsProvider(p[0], (*aws.AnonymousCredentials)(nil)), name)
		assert.False(t, aws.IsCredentialsProvider(p[0], &source{}), name)
		assert.False(t, aws.IsCredentialsProvider(p[1], (*aws.AnonymousCredentials)(nil)), name)
		assert.True(t, aws.IsCredentialsProvider(p[1], &source{}), name)
	}
}

func TestCacheRetrieveDoesNotAllocate(t *testing.T) {
	c := newCache(t, &source{lifetime: time.Hour})
	view := c.MinTTL(time.Minute)
	ctx := t.Context()
	retrieve(t, c)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = c.Retrieve(ctx) }))
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = view.Retrieve(ctx) }))
}

func TestCacheFormatHidesSource(t *testing.T) {
	static := credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "wJalrXUtnFEMI", "")
	c := newCache(t, static)
	retrieve(t, c)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		assert.Equal(t, "cache.Cache(fresh)", fmt.Sprintf(verb, c))
	}
}

// TryRetrieve returns only what is available, and starts a refresh if one is due.
func TestCacheTryRetrieveDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		var creds aws.Credentials
		assert.False(t, c.TryRetrieve(&creds))
		synctest.Wait()
		assert.Zero(t, s.count(), "without credentials it starts no attempt")
		first := retrieve(t, c)
		require.True(t, c.TryRetrieve(&creds))
		assert.Equal(t, first, creds)

		s.setError(errBroken)
		time.Sleep(time.Until(first.Expires) - time.Second)
		require.True(t, c.TryRetrieve(&creds))
		assert.Equal(t, first, creds)
		time.Sleep(2 * time.Second)
		kept := creds
		assert.False(t, c.TryRetrieve(&creds), "expired credentials")
		assert.Equal(t, kept, creds, "creds is unchanged")
		require.NoError(t, c.Close())
		assert.False(t, c.TryRetrieve(&creds))
	})
}
