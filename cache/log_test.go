package cache_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
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

// stuckSource is a source that can get stuck, so that it does not return and ignores its context.
type stuckSource struct {
	source
	mu    sync.Mutex
	stuck chan struct{}
}

func (s *stuckSource) Retrieve(ctx context.Context) (aws.Credentials, error) {
	s.mu.Lock()
	stuck := s.stuck
	s.mu.Unlock()
	if stuck != nil {
		<-stuck
		return aws.Credentials{}, errBroken
	}
	return s.source.Retrieve(ctx)
}

func (s *stuckSource) getStuck() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stuck := make(chan struct{})
	s.stuck = stuck
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stuck = nil
		close(stuck)
	}
}

// An outage of any kind and duration, with any number of callers, is logged as three lines: when
// refresh starts to fail, when callers start to get errors, and after recovery.
func TestCacheLogsEachChangeDuringOutage(t *testing.T) {
	t.Parallel()
	for seed := range uint64(testsize.Choose(8, 30, 60)) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { outage(t, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func outage(t *testing.T, random *rand.Rand) {
	var log bytes.Buffer
	s := &stuckSource{source: source{lifetime: time.Hour}}
	failed := 0
	c := newCache(t, s, logTo(&log), func(o *cache.Options) {
		o.Observe = func(e cache.Event) {
			if e.Status.Err != nil {
				failed++
			}
		}
	})
	retrieve(t, c)
	callers, pace := 1+random.IntN(20), time.Duration(1+random.IntN(30))*time.Second
	stop := retrieveEvery(t, c, pace, callers)
	time.Sleep(time.Duration(random.IntN(7200)) * time.Second)

	repair, kind := func() { s.setError(nil); s.setHung(false) }, random.IntN(3)
	switch kind {
	case 0:
		s.setError(errBroken)
	case 1:
		s.setHung(true)
	default:
		repair = s.getStuck()
	}
	time.Sleep(time.Duration(random.IntN(4*3600)) * time.Second)
	repair()
	time.Sleep(2 * time.Hour)
	callersFailed := len(stop()) > 0
	require.NoError(t, c.Close()) // all events have been observed

	var want []string
	if failed > 0 {
		want = append(want, "WARN credentials refresh failed")
	}
	if callersFailed {
		want = append(want, "ERROR no valid credentials")
	}
	if failed > 0 {
		want = append(want, "INFO credentials refresh recovered")
	}
	assert.Equal(t, want, messages(log.String()), "kind %d, %d callers each %v, %d failures", kind, callers, pace, failed)
}

// messages returns the level and message of each line of a log.
func messages(log string) []string {
	var out []string
	for line := range strings.Lines(log) {
		_, rest, _ := strings.Cut(line, "level=")
		level, rest, _ := strings.Cut(rest, ` msg="`)
		message, _, _ := strings.Cut(rest, `"`)
		out = append(out, level+" "+message)
	}
	return out
}

func TestCacheLogsExpiryWhileSourceIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &stuckSource{source: source{lifetime: time.Hour}}
		c := newCache(t, s, logTo(&log))
		retrieve(t, c)
		release := s.getStuck()
		time.Sleep(59 * time.Minute)
		_, err := c.MinTTL(30 * time.Minute).Retrieve(t.Context())
		require.Error(t, err)
		retrieve(t, c)
		synctest.Wait()
		assert.Equal(t, []string{"WARN credentials refresh failed"}, messages(log.String()), "callers of the Cache still get credentials")
		time.Sleep(time.Minute)
		for range 100 {
			_, err = c.Retrieve(t.Context())
			require.Error(t, err)
		}
		release()
		time.Sleep(time.Minute)
		retrieve(t, c)
		synctest.Wait()
		assert.Equal(t, []string{"WARN credentials refresh failed", "ERROR no valid credentials", "INFO credentials refresh recovered"}, messages(log.String()))
		assert.Equal(t, cache.Fresh, c.Status().State)
	})
}

func TestCacheLogsErrorsOfTimedOutCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &source{lifetime: time.Hour, hung: true}
		c := newCache(t, s, logTo(&log))
		for range 15 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := c.Retrieve(ctx)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		require.NoError(t, c.Close())
		assert.Equal(t, []string{"WARN initial attempt failed, retrying", "ERROR no valid credentials"}, messages(log.String()))
	})
}
