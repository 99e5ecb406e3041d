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

func TestStatusHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		require.EqualError(t, c.Status().Healthy(), "cache: no credentials obtained yet", "not used yet")

		s.setError(errBroken)
		_, err := c.Retrieve(t.Context())
		require.ErrorIs(t, err, errBroken)
		require.EqualError(t, c.Status().Healthy(), "cache: no credentials obtained yet: broken")
		require.ErrorIs(t, c.Status().Healthy(), errBroken)

		s.setError(nil)
		time.Sleep(5 * time.Second)
		retrieve(t, c)
		require.NoError(t, c.Status().Healthy())

		s.setError(errBroken)
		time.Sleep(50 * time.Minute)
		err = c.Status().Healthy()
		require.Equal(t, cache.Stale, c.Status().State)
		require.ErrorIs(t, err, errBroken)
		require.EqualError(t, err, "cache: refresh is failing: broken", "it does not change while time passes")
		retrieve(t, c) // still served

		time.Sleep(10 * time.Minute)
		err = c.Status().Healthy()
		require.Equal(t, cache.Expired, c.Status().State)
		require.EqualError(t, err, "cache: no valid credentials: broken")
		require.ErrorIs(t, err, errBroken)

		require.NoError(t, c.Close())
		require.ErrorIs(t, c.Status().Healthy(), cache.ErrClosed)
	})
}

func TestStatusHealthyWithWithdrawnAndNonExpiringCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		creds := retrieve(t, c)
		s.setHung(true)
		c.Invalidate(creds)
		require.Equal(t, cache.Expired, c.Status().State)
		require.ErrorIs(t, c.Status().Healthy(), cache.ErrRejected)
	})
	synctest.Test(t, func(t *testing.T) {
		endless := &endlessSource{}
		c := newCache(t, endless)
		retrieve(t, c)
		require.NoError(t, c.Status().Healthy())
		endless.err = errBroken
		require.Error(t, c.Refresh(t.Context()))
		err := c.Status().Healthy()
		require.Equal(t, cache.Stale, c.Status().State)
		assert.Equal(t, "cache: refresh is failing: broken", err.Error())
	})
}

// endlessSource returns credentials that never expire.
type endlessSource struct{ err error }

func (s *endlessSource) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "secret"}, s.err
}

func TestStatusCountsWaitsAndErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: 2 * time.Second}
		c := newCache(t, s)
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() { retrieve(t, c) })
		}
		callers.Wait()
		for range 1000 {
			retrieve(t, c) // these callers do not wait
		}
		status := c.Status()
		assert.EqualValues(t, 10, status.WaitCount)
		assert.Equal(t, 20*time.Second, status.WaitDuration)
		_, err := c.MinTTL(50 * time.Minute).Retrieve(t.Context())
		require.ErrorIs(t, err, cache.ErrMinTTL)
		assert.Zero(t, c.Status().ErrorCount)

		s.setError(errBroken)
		time.Sleep(2 * time.Hour)
		before := c.Status()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = c.Retrieve(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = c.MinTTL(time.Minute).Retrieve(t.Context())
		require.ErrorIs(t, err, errBroken)
		_, err = c.Retrieve(t.Context()) // returns immediately until the next attempt is due
		require.ErrorIs(t, err, errBroken)
		status = c.Status()
		assert.EqualValues(t, 2, status.WaitCount-before.WaitCount)
		assert.Equal(t, 2*time.Second, status.WaitDuration-before.WaitDuration)
		assert.EqualValues(t, 3, status.ErrorCount)

		canceled, cancelNow := context.WithCancel(t.Context())
		cancelNow()
		time.Sleep(time.Minute)
		_, err = c.Retrieve(canceled)
		require.ErrorIs(t, err, context.Canceled)
		require.NoError(t, c.Close())
		_, err = c.Retrieve(t.Context())
		require.ErrorIs(t, err, cache.ErrClosed)
		assert.EqualValues(t, 3, c.Status().ErrorCount, "errors that the callers caused do not count")
	})
}
