package cache

import (
	"context"
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

// steppedClock is a clock whose wall and elapsed time can be moved apart, which the
// time of a bubble cannot.
type steppedClock struct {
	read          func() schedule.Moment
	wall, elapsed atomic.Int64
}

func (s *steppedClock) now() schedule.Moment {
	m := s.read()
	return schedule.Moment{Wall: m.Wall + s.wall.Load(), Elapsed: m.Elapsed + time.Duration(s.elapsed.Load())}
}

// newStepped returns a Cache with a steppedClock, around a source whose credentials
// live for an hour of real time, whatever the wall clock shows.
func newStepped(t *testing.T) (*Cache, *steppedClock, *atomic.Int32) {
	clock := &steppedClock{read: systemClock()}
	var calls atomic.Int32
	c := New(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{
			AccessKeyID:     fmt.Sprintf("AK%d", calls.Add(1)),
			SecretAccessKey: "secret",
			CanExpire:       true,
			Expires:         clock.now().Add(time.Hour).Time(),
		}, nil
	}))
	c.now = clock.now
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c, clock, &calls
}

func TestClockStepsAndSuspendsNeverLetExpiredCredentialsOut(t *testing.T) {
	for _, tt := range []struct {
		name          string
		wall, elapsed time.Duration // how the clocks move apart
		truly         time.Duration // how much of the life really passes then
		want          string
	}{
		{"the wall clock steps an hour ahead", time.Hour, 0, 0, "AK2"},
		{"the wall clock steps an hour back, and little time passes", -time.Hour, 0, 10 * time.Minute, "AK1"},
		{"the wall clock steps an hour back, and an hour passes", -time.Hour, time.Hour, time.Hour, "AK2"},
		{"a suspend of two hours, which the elapsed clock does not count", 2 * time.Hour, 0, 2 * time.Hour, "AK2"},
		{"a starved process, whose timers are two hours late", 2 * time.Hour, 2 * time.Hour, 2 * time.Hour, "AK2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, clock, _ := newStepped(t)
				_, err := c.Retrieve(t.Context())
				require.NoError(t, err)
				clock.wall.Store(int64(tt.wall))
				clock.elapsed.Store(int64(tt.elapsed))
				creds, err := c.Retrieve(t.Context())
				require.NoError(t, err)
				assert.Equal(t, tt.want, creds.AccessKeyID)
				_, err = c.MinTTL(time.Minute).Retrieve(t.Context())
				require.NoError(t, err)
			})
		})
	}
}

func TestAfterABackwardStepTheCredentialsEndWithTheirLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, clock, calls := newStepped(t)
		_, err := c.Retrieve(t.Context())
		require.NoError(t, err)
		clock.wall.Store(int64(-time.Hour))
		time.Sleep(50 * time.Minute) // the refresh came by the elapsed clock
		assert.EqualValues(t, 2, calls.Load())
		assert.Equal(t, Fresh, c.Status().State)
	})
}

func TestARetrieveAfterALateTimerStartsTheRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, clock, calls := newStepped(t)
		_, err := c.Retrieve(t.Context())
		require.NoError(t, err)
		clock.wall.Store(int64(50 * time.Minute)) // suspended for so long: past the refresh
		creds, err := c.Retrieve(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "AK1", creds.AccessKeyID, "it does not wait")
		synctest.Wait()
		assert.EqualValues(t, 2, calls.Load())
	})
}

func TestAStepInTheMiddleOfALongWaitDoesNotProlongIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := &steppedClock{read: systemClock()}
		var broken atomic.Bool
		c := New(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			if broken.Load() {
				return aws.Credentials{}, assert.AnError
			}
			return aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "secret", CanExpire: true, Expires: clock.now().Add(time.Hour).Time()}, nil
		}))
		c.now = clock.now
		defer c.Close()
		_, err := c.Retrieve(t.Context())
		require.NoError(t, err)
		broken.Store(true)
		time.Sleep(52 * time.Minute) // waits of a minute by now
		broken.Store(false)
		clock.wall.Store(int64(time.Hour)) // the credentials have ended on one clock
		start := time.Now()
		for {
			if _, err = c.Retrieve(t.Context()); err == nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		assert.LessOrEqual(t, time.Since(start), 6*time.Second)
	})
}
