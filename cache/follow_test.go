package cache_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/follow"
)

// follower is a source that follows its Cache.
type follower struct {
	source
	recorder
	completed func(follow.Outcome)
	logger    *slog.Logger

	outcomesMu sync.Mutex
	outcomes   []error
	served     []string // guarded by the lock of the Cache
}

func (f *follower) Completed(o follow.Outcome) {
	f.outcomesMu.Lock()
	f.outcomes = append(f.outcomes, o.Err)
	f.outcomesMu.Unlock()
	f.completed(o)
}

func (f *follower) Explain(_ context.Context, err error) error {
	return fmt.Errorf("explained: %w", err)
}

func (f *follower) Serve(accessKeyID string) { f.served = append(f.served, accessKeyID) }

func (f *follower) Record(e cache.Event) { f.observe(e) }

func (f *follower) Logger() *slog.Logger { return f.logger }

func TestCacheReportsOutcomesToFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &follower{source: source{lifetime: time.Hour, delay: time.Second}}
		var c *cache.Cache
		var states []cache.State
		f.completed = func(follow.Outcome) {
			states = append(states, c.Status().State)
			c.Wake() // no lock is held
			c.Invalidate(keys(99, time.Hour))
		}
		c = newCache(t, f, func(o *cache.Options) {
			o.Observe = func(cache.Event) { assert.Fail(t, "the source has its own queue") }
		})
		creds := retrieve(t, c)
		synctest.Wait()
		assert.Equal(t, []error{nil}, f.outcomes)
		assert.Equal(t, cache.Fresh, states[0], "the outcome is stored before it is reported")

		f.completed = func(follow.Outcome) {}
		time.Sleep(10 * time.Minute)
		f.lifetime = 30 * time.Minute
		require.NoError(t, c.Refresh(t.Context()))
		require.Equal(t, creds, retrieve(t, c))
		assert.Equal(t, []string{creds.AccessKeyID}, f.served, "the others are discarded")
		time.Sleep(time.Minute)
		f.setError(errBroken)
		require.Error(t, c.Refresh(t.Context()))
		synctest.Wait()
		assert.Equal(t, errBroken, f.outcomes[len(f.outcomes)-1])
		require.Equal(t, creds, retrieve(t, c))
		c.Invalidate(retrieve(t, c))
		last := f.events[len(f.events)-1]
		assert.True(t, last.Withdrawn, "Invalidate is recorded before it returns")
	})
}

func TestCacheUsesFollowerLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines, others bytes.Buffer
		f := &follower{completed: func(follow.Outcome) {}, logger: slog.New(slog.NewTextHandler(&lines, nil))}
		f.setError(errBroken)
		c := newCache(t, f, func(o *cache.Options) {
			o.Logger = slog.New(slog.NewTextHandler(&others, nil))
		})
		require.Error(t, c.Refresh(t.Context()))
		synctest.Wait()
		assert.Contains(t, lines.String(), "initial attempt failed")
		assert.Empty(t, others.String())
	})
}

func TestMinTTLReturnsErrorOfFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &follower{source: source{lifetime: time.Hour}, completed: func(follow.Outcome) {}}
		_, err := newCache(t, f).MinTTL(time.Hour).Retrieve(t.Context())
		assert.ErrorIs(t, err, cache.ErrMinTTL)
		assert.ErrorContains(t, err, "explained: ")
	})
}

func TestCacheReportsTimeoutToFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &follower{completed: func(follow.Outcome) {}}
		s := &stuckSource{}
		release := s.getStuck()
		c := newCache(t, struct {
			aws.CredentialsProvider
			follow.Source[cache.Event]
		}{s, f})
		require.ErrorIs(t, c.Refresh(t.Context()), context.DeadlineExceeded)
		synctest.Wait()
		require.Len(t, f.outcomes, 1)
		assert.ErrorIs(t, f.outcomes[0], context.DeadlineExceeded)
		release()
		synctest.Wait()
		assert.Len(t, f.outcomes, 1, "a late failure is not another outcome")
	})
}

func TestCacheCallersDoNotWaitForFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := &follower{source: source{lifetime: time.Hour}, completed: func(follow.Outcome) { <-release }}
		c := newCache(t, f)
		start := time.Now()
		first := retrieve(t, c)
		time.Sleep(10 * time.Minute)
		require.NoError(t, c.Refresh(t.Context()))
		assert.NotEqual(t, first, retrieve(t, c))
		assert.Equal(t, 10*time.Minute, time.Since(start))
		close(release)
	})
}
