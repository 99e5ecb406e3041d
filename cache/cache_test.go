package cache_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

// newCache returns a cache that the test closes.
func newCache(t *testing.T, s aws.CredentialsProvider, optFns ...func(*cache.Options)) *cache.Cache {
	t.Helper()
	quiet := func(o *cache.Options) { o.Logger = slog.New(slog.DiscardHandler) }
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

func TestNewStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: time.Hour}
		c := newCache(t, s)
		time.Sleep(24 * time.Hour)
		assert.Zero(t, s.count())
		assert.Equal(t, cache.Status{State: cache.Empty}, c.Status())
	})
}

func TestTheFirstCallersShareOneAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: time.Hour, delay: time.Second}
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

func TestExpiresIsTheEndOfServing(t *testing.T) {
	for _, tt := range []struct {
		name         string
		life, margin time.Duration
	}{
		{"ten seconds before the end of an hour", time.Hour, 10 * time.Second},
		{"ten seconds before the end of twelve hours", 12 * time.Hour, 10 * time.Second},
		{"1 % before the end of a minute", time.Minute, 600 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{life: tt.life}
				c := newCache(t, s)
				end := time.Now().Add(tt.life)
				creds := retrieve(t, c)
				assert.Equal(t, tt.margin, end.Sub(creds.Expires))
				s.breakWith(errBroken)
				time.Sleep(time.Until(creds.Expires) - time.Nanosecond)
				assert.Equal(t, "AK1", retrieve(t, c).AccessKeyID)
				time.Sleep(time.Nanosecond)
				_, err := c.Retrieve(t.Context())
				assert.ErrorIs(t, err, errBroken)
			})
		})
	}
}

func TestRefreshesInTheBackgroundBetween60And80PercentOfTheLife(t *testing.T) {
	for _, life := range []time.Duration{15 * time.Minute, time.Hour, 12 * time.Hour} {
		t.Run(life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{life: life}
				c := newCache(t, s)
				retrieve(t, c)
				time.Sleep(100 * life) // nobody asks
				c.Close()
				synctest.Wait()
				for i := range s.calls[1:] {
					pause := s.calls[i+1].Sub(s.calls[i])
					assert.GreaterOrEqual(t, pause, life/10*6)
					assert.Less(t, pause, life/10*8)
				}
				assert.Greater(t, len(s.calls), 100)
			})
		})
	}
}

func TestCredentialsThatDoNotExpireAreAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls int
		c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			calls++
			return aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "secret"}, nil
		}))
		retrieve(t, c)
		time.Sleep(10000 * time.Hour)
		assert.Equal(t, "AK", retrieve(t, c.MinTTL(time.Hour)).AccessKeyID)
		assert.Equal(t, cache.Status{State: cache.Fresh, LastSuccess: c.Status().LastSuccess}, c.Status())
		assert.Equal(t, 1, calls)
	})
}

func TestWhatIsOfNoUseIsAFailedAttempt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		creds func() aws.Credentials
		want  string
	}{
		{"nothing", func() aws.Credentials { return aws.Credentials{} }, "without keys"},
		{"no secret", func() aws.Credentials { return aws.Credentials{AccessKeyID: "AK"} }, "without keys"},
		{"no access key", func() aws.Credentials { return aws.Credentials{SecretAccessKey: "SK"} }, "without keys"},
		{"expired", func() aws.Credentials { return keys(1, -time.Minute) }, "expired 1m0s ago"},
		{"about to expire", func() aws.Credentials { return keys(1, 999*time.Millisecond) }, "live for 999ms only"},
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
			})
		})
	}
}

func TestACallerWhoseContextEndsLeavesAtOnceAndHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: time.Hour, delay: 5 * time.Second}
		c := newCache(t, s)
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := c.Retrieve(ctx)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(start))
		})
		synctest.Wait()
		wg.Go(func() {
			creds, err := c.Retrieve(t.Context())
			assert.NoError(t, err)
			assert.Equal(t, "AK1", creds.AccessKeyID)
			assert.Equal(t, 5*time.Second, time.Since(start))
		})
		wg.Wait()
		assert.Equal(t, 1, s.count())
	})
}

func TestACancelledContextStillGetsWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, &source{life: time.Hour, delay: time.Second})
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("went home")
		cancel(cause)
		_, err := c.Retrieve(ctx)
		require.ErrorIs(t, err, cause)
		retrieve(t, c)
		_, err = c.Retrieve(ctx)
		require.NoError(t, err)
	})
}

func TestAHungSourceIsGivenUpAtTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: time.Hour}
		s.hang(true)
		c := newCache(t, s)
		start := time.Now()
		_, err := c.Retrieve(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		// A start waits through two failures: three attempts, two waits.
		assert.InDelta(t, 31.2, time.Since(start).Seconds(), 0.5)
		s.hang(false)
		time.Sleep(5 * time.Second)
		assert.Equal(t, "AK4", retrieve(t, c).AccessKeyID)
	})
}

func TestASourceThatIgnoresItsContextIsGivenUpAndNotCalledAgainBeforeItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls, running atomic.Int32
		c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			calls.Add(1)
			assert.EqualValues(t, 1, running.Add(1))
			defer running.Add(-1)
			<-release
			return keys(1, time.Hour), nil
		}))
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, c.Refresh(ctx), context.DeadlineExceeded)
		assert.Equal(t, 10100*time.Millisecond, time.Since(start))
		status := c.Status()
		assert.Equal(t, 1, status.Failures)
		assert.Equal(t, cache.Empty, status.State)
		time.Sleep(10 * time.Minute)
		assert.EqualValues(t, 1, calls.Load())
		close(release) // late, but good
		synctest.Wait()
		assert.Equal(t, "AK1", retrieve(t, c).AccessKeyID)
		assert.EqualValues(t, 1, calls.Load())
		assert.Zero(t, c.Status().Failures)
	})
}

func TestALateFailureCountsOnceAndTheNextAttemptComesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			if calls.Add(1) == 1 {
				time.Sleep(time.Minute)
				return aws.Credentials{}, errBroken
			}
			return keys(2, time.Hour), nil
		}))
		start := time.Now()
		_, err := c.Retrieve(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 10100*time.Millisecond, time.Since(start), "nobody is kept waiting for a source that is stuck")
		time.Sleep(time.Minute)
		assert.Equal(t, "AK2", retrieve(t, c).AccessKeyID)
	})
}

func TestAPanicOrExitOfTheSourceIsAnError(t *testing.T) {
	for _, tt := range []struct {
		name string
		fail func()
		want string
	}{
		{"a panic with a text", func() { panic("oops") }, "panicked: oops"},
		{"a panic with an error", func() { panic(errBroken) }, "panicked: broken"},
		{"runtime.Goexit", runtime.Goexit, "runtime.Goexit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					tt.fail()
					return aws.Credentials{}, nil
				}))
				require.ErrorContains(t, c.Refresh(t.Context()), tt.want)
			})
		})
	}
}

func TestRefreshGivesAnAttemptThatBeganAfterTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: time.Hour, delay: 3 * time.Second}
		c := newCache(t, s)
		go func() { _, _ = c.Retrieve(t.Context()) }()
		time.Sleep(2 * time.Second) // the first attempt is under way
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { assert.NoError(t, c.Refresh(t.Context())) })
		}
		wg.Wait()
		assert.Equal(t, 2, s.count())
		assert.Equal(t, "AK2", retrieve(t, c).AccessKeyID)
	})
}

func TestRefreshInALoopDoesNotStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: time.Hour}
		c := newCache(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		for c.Refresh(ctx) == nil {
		}
		assert.LessOrEqual(t, s.count(), 61)
		s.breakWith(errBroken)
		before := s.count()
		ctx, cancel = context.WithTimeout(t.Context(), 100*time.Second)
		defer cancel()
		for ctx.Err() == nil {
			assert.Error(t, c.Refresh(ctx))
		}
		assert.LessOrEqual(t, s.count()-before, 10)
	})
}

func TestWakeTriesAgainAtOnceAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: time.Hour}
		c := newCache(t, s)
		c.Wake() // nothing failed yet
		retrieve(t, c)
		c.Wake() // nor now
		synctest.Wait()
		require.Equal(t, 1, s.count())

		s.breakWith(errBroken)
		time.Sleep(50 * time.Minute) // into the long waits
		c.Wake()
		synctest.Wait()
		failed := s.count()
		s.breakWith(nil)
		time.Sleep(time.Second)
		c.Wake()
		synctest.Wait()
		assert.Equal(t, failed+1, s.count())
		assert.Equal(t, cache.Fresh, c.Status().State)
	})
}

func TestWakeDuringAnAttemptRepeatsItIfItFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: time.Hour, delay: 2 * time.Second, broken: errBroken}
		c := newCache(t, s, permanently)
		go func() { _, _ = c.Retrieve(t.Context()) }()
		time.Sleep(time.Second)
		c.Wake()
		s.breakWith(nil)
		time.Sleep(3 * time.Second)
		assert.Equal(t, 2, s.count())
		time.Sleep(time.Minute)
		assert.Equal(t, cache.Fresh, c.Status().State)
		assert.Equal(t, 2, s.count())
	})
}

func TestWakeInALoopDoesNotStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: time.Hour, broken: errBroken}
		c := newCache(t, s, permanently)
		_, err := c.Retrieve(t.Context())
		require.Error(t, err)
		for range 10_000 {
			c.Wake()
			time.Sleep(10 * time.Millisecond)
		}
		assert.LessOrEqual(t, s.count(), 102)
	})
}

func permanently(o *cache.Options) { o.Permanent = func(error) bool { return true } }

func TestPermanentByDefaultIsWhatAServiceRefused(t *testing.T) {
	for _, tt := range []struct {
		name      string
		err       error
		permanent bool
	}{
		{"a plain error", errBroken, false},
		{"access denied", &smithy.GenericAPIError{Code: "AccessDenied"}, true},
		{"a validation error", &smithy.GenericAPIError{Code: "ValidationError"}, true},
		{"throttled", &smithy.GenericAPIError{Code: "Throttling"}, false},
		{"a timeout", &smithy.GenericAPIError{Code: "RequestTimeout"}, false},
		{"an identity provider that did not answer", &smithy.GenericAPIError{Code: "IDPCommunicationError"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{life: time.Hour, broken: tt.err}
				c := newCache(t, s)
				_, err := c.Retrieve(t.Context())
				require.ErrorIs(t, err, tt.err)
				want := 3 // a start waits through two failures that may pass
				if tt.permanent {
					want = 1
				}
				assert.Equal(t, want, s.count())
			})
		})
	}
}

func TestTheFirstRetrieveSurvivesTwoFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: time.Hour, broken: errBroken}
		c := newCache(t, s)
		start := time.Now()
		time.AfterFunc(time.Second, func() { s.breakWith(nil) })
		retrieve(t, c)
		assert.Less(t, time.Since(start), 1600*time.Millisecond)
		assert.Equal(t, 3, s.count())
	})
}

func TestAfterCloseEverythingIsErrClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: time.Hour}
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

func TestCloseDuringAnAttemptCancelsItAndWakesItsCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: time.Hour}
		s.hang(true)
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

func TestCloseDoesNotWaitForEverForASourceOrAnObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		c := cache.New(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			<-release
			return aws.Credentials{}, errBroken
		}))
		go func() { _, _ = c.Retrieve(t.Context()) }()
		synctest.Wait()
		assert.ErrorContains(t, c.Close(), "source has still not returned")

		c = cache.New(&source{life: time.Hour}, func(o *cache.Options) {
			o.Observe = func(cache.Event) { <-release }
		})
		retrieve(t, c)
		assert.ErrorContains(t, c.Close(), "observer has still not returned")
	})
}

func TestProviderSourcesAreThoseOfTheSource(t *testing.T) {
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

func TestACachedRetrieveAllocatesNothing(t *testing.T) {
	c := newCache(t, &source{life: time.Hour})
	view := c.MinTTL(time.Minute)
	ctx := t.Context()
	retrieve(t, c)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = c.Retrieve(ctx) }))
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = view.Retrieve(ctx) }))
}

func TestPermanentMayPanicOrUseTheCache(t *testing.T) {
	for _, tt := range []struct {
		name string
		ask  func(*cache.Cache)
	}{
		{"panics", func(*cache.Cache) { panic("oops") }},
		{"ends its goroutine", func(*cache.Cache) { runtime.Goexit() }},
		{"uses the cache", func(c *cache.Cache) { c.Wake(); c.Invalidate(keys(1, time.Hour)); c.MinTTL(time.Minute) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{life: time.Hour, broken: errBroken}
				var c *cache.Cache
				c = newCache(t, s, func(o *cache.Options) {
					o.Permanent = func(error) bool { tt.ask(c); return false }
				})
				require.ErrorIs(t, c.Refresh(t.Context()), errBroken)
				s.breakWith(nil)
				retrieve(t, c)
			})
		})
	}
}

func TestPrintingACacheShowsNothingOfItsSource(t *testing.T) {
	static := credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "wJalrXUtnFEMI", "")
	c := newCache(t, static)
	retrieve(t, c)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		assert.Equal(t, "cache.Cache(fresh)", fmt.Sprintf(verb, c))
	}
}

func TestACustomCauseDoesNotHideThatTheContextEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, &source{life: time.Hour, delay: time.Minute})
		cause := errors.New("the request is over")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		_, err := c.Retrieve(ctx)
		assert.ErrorIs(t, err, cause)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestRefreshWithAContextThatHasEndedOnlyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: time.Hour, delay: 5 * time.Second}
		c := newCache(t, s)
		retrieve(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		require.ErrorIs(t, c.Refresh(ctx), context.Canceled)
		assert.Zero(t, time.Since(start))
		time.Sleep(6 * time.Second)
		assert.Equal(t, "AK2", retrieve(t, c).AccessKeyID)
	})
}
