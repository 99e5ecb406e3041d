package cache

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/schedule"
)

// step makes the clocks of c jump by wall and elapsed. Because the clocks of a bubble cannot jump,
// step moves all times recorded in c the opposite way. It does not move a timer that is already set.
func step(c *Cache, wall, elapsed time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := *c.state.Load()
	for _, m := range []*schedule.Moment{
		&s.until, &s.due, &s.received, &s.refreshAt,
		&c.scheduler.spacedUntil, &c.scheduler.retryServing, &c.scheduler.retryEmpty, &c.scheduler.invalidateSpacedUntil,
		&c.scheduler.lastReplace,
	} {
		if *m != schedule.Never() && *m != (schedule.Moment{}) {
			m.Wall -= int64(wall)
			m.Elapsed -= elapsed
		}
	}
	s.sourceExpires -= int64(wall) // the source's credentials move too
	c.store(&s)
}

// newNumbered returns a Cache around a source that fails while broken is set, and otherwise returns
// credentials for an hour with the keys AK1, AK2 and so on.
func newNumbered(t *testing.T) (c *Cache, calls *atomic.Int32, broken *atomic.Bool) {
	calls, broken = new(atomic.Int32), new(atomic.Bool)
	c = New(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		if broken.Load() {
			return aws.Credentials{}, errors.New("broken")
		}
		return aws.Credentials{
			AccessKeyID:     fmt.Sprintf("AK%d", calls.Add(1)),
			SecretAccessKey: "secret",
			CanExpire:       true,
			Expires:         time.Now().Add(time.Hour),
		}, nil
	}))
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c, calls, broken
}

func key(t *testing.T, p aws.CredentialsProvider) string {
	t.Helper()
	creds, err := p.Retrieve(t.Context())
	require.NoError(t, err)
	return creds.AccessKeyID
}

func TestCacheNeverServesExpiredCredentialsAfterClockJump(t *testing.T) {
	for _, tt := range []struct {
		name          string
		wall, elapsed time.Duration // how far the clocks jump
		want          string
	}{
		{"the wall clock steps an hour forward", time.Hour, 0, "AK2"},
		{"the wall clock steps an hour backward", -time.Hour, 0, "AK1"},
		{"an hour passes on the elapsed clock only", 0, time.Hour, "AK2"},
		{"a suspend of two hours, not counted by the elapsed clock", 2 * time.Hour, 0, "AK2"},
		{"starved process with timers two hours late", 2 * time.Hour, 2 * time.Hour, "AK2"},
		{"a starved process, until just before the earliest end of serving", time.Hour - 10*time.Second - 1, time.Hour - 10*time.Second - 1, "AK1"},
		{"a starved process, until the latest end of serving", time.Hour - 8*time.Second, time.Hour - 8*time.Second, "AK2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := newNumbered(t)
				require.Equal(t, "AK1", key(t, c))
				step(c, tt.wall, tt.elapsed)
				assert.Equal(t, tt.want, key(t, c))
			})
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := newNumbered(t)
				view := c.MinTTL(0)
				require.Equal(t, "AK1", key(t, view))
				step(c, tt.wall, tt.elapsed)
				assert.Equal(t, tt.want, key(t, view))
			})
		})
	}
}

func TestCacheReturnsErrorAfterClockStepDuringOutage(t *testing.T) {
	for _, jump := range []struct{ wall, elapsed time.Duration }{{time.Hour, 0}, {0, time.Hour}} {
		synctest.Test(t, func(t *testing.T) {
			c, _, broken := newNumbered(t)
			key(t, c)
			broken.Store(true)
			step(c, jump.wall, jump.elapsed)
			assert.Equal(t, Expired, c.Status().State)
			creds, err := c.Retrieve(t.Context())
			require.Error(t, err)
			assert.Equal(t, aws.Credentials{}, creds)
		})
	}
}

// The wall clock was set back, so it does not show that the credentials have expired.
func TestCacheTreatsExpiredCredentialsFromCachingSourceAsFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var expires atomic.Pointer[time.Time]
		set := func(at time.Time) { expires.Store(&at) }
		set(time.Now().Add(time.Hour))
		c := New(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "secret", CanExpire: true, Expires: *expires.Load()}, nil
		}))
		key(t, c)
		for range 3 {
			time.Sleep(time.Hour)
			step(c, -time.Hour, 0)
			set(expires.Load().Add(time.Hour)) // only the Cache's clock was set back, not the bubble's
			_, err := c.Retrieve(t.Context())
			require.ErrorContains(t, err, "expired")
		}
		require.NoError(t, c.Close())
	})
}

func TestCacheRefreshesByElapsedClockAfterBackwardStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, calls, _ := newNumbered(t)
		key(t, c)
		step(c, -time.Hour, 0)
		time.Sleep(50 * time.Minute)
		assert.EqualValues(t, 2, calls.Load())
		assert.Equal(t, Fresh, c.Status().State)
	})
}

func TestCacheRetrieveStartsRefreshIfTimerIsLate(t *testing.T) {
	for _, jump := range []struct{ wall, elapsed time.Duration }{
		{50 * time.Minute, 0},                // a suspend
		{50 * time.Minute, 50 * time.Minute}, // a starved process
	} {
		synctest.Test(t, func(t *testing.T) {
			c, calls, _ := newNumbered(t)
			key(t, c)
			step(c, jump.wall, jump.elapsed)
			assert.Equal(t, "AK1", key(t, c))
			synctest.Wait()
			assert.EqualValues(t, 2, calls.Load())
		})
	}
}

func TestCacheClockStepDoesNotProlongBackoff(t *testing.T) {
	for _, jump := range []struct{ wall, elapsed time.Duration }{{time.Hour, 0}, {0, time.Hour}, {time.Hour, time.Hour}} {
		synctest.Test(t, func(t *testing.T) {
			c, _, broken := newNumbered(t)
			key(t, c)
			broken.Store(true)
			time.Sleep(52 * time.Minute) // the backoff is about a minute now
			broken.Store(false)
			step(c, jump.wall, jump.elapsed)
			start := time.Now()
			for c.Status().State != Fresh {
				_, _ = c.Retrieve(t.Context())
				time.Sleep(100 * time.Millisecond)
			}
			assert.LessOrEqual(t, time.Since(start), 6*time.Second)
		})
	}
}

func TestCacheClockStepsDoNotBypassBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempts atomic.Int32
		c := New(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			attempts.Add(1)
			return aws.Credentials{}, errors.New("broken")
		}))
		defer c.Close()
		for range 600 {
			_, _ = c.Retrieve(t.Context())
			step(c, -time.Hour, 0)
			time.Sleep(100 * time.Millisecond)
		}
		assert.LessOrEqual(t, attempts.Load(), int32(20))
	})
}

// A machine without a hardware clock starts in 1970. After its clock is set, a caching source returns
// the credentials that the Cache already has.
func TestCacheWithCachingSourceServesAfterClockIsSet(t *testing.T) {
	const behind = 56 * 365 * 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		expires := time.Now().Add(behind + 6*time.Hour)
		c := New(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "secret", CanExpire: true, Expires: expires}, nil
		}))
		defer func() { assert.NoError(t, c.Close()) }()
		require.Equal(t, "AK", key(t, c))
		time.Sleep(time.Minute)
		step(c, behind, 0)
		expires = expires.Add(-behind)
		for time.Until(expires) > time.Minute {
			require.Equal(t, "AK", key(t, c))
			time.Sleep(time.Minute)
		}
	})
}

// The view moves the refresh to between 33 and 45 minutes after the exchange. The wall clock reaches it first.
func TestCacheTimerFollowsClockThatIsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, calls, _ := newNumbered(t)
		key(t, c)
		step(c, 30*time.Minute, 0)
		view := c.MinTTL(10 * time.Minute)
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		assert.EqualValues(t, 2, calls.Load(), "it was refreshed without a caller")
		assert.Equal(t, "AK2", key(t, view))
	})
}
