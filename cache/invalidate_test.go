package cache_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

func TestInvalidateWithdrawsCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: time.Second}
		c := newCache(t, s)
		first := retrieve(t, c)
		c.Invalidate(first)
		assert.Equal(t, cache.Expired, c.Status().State)
		assert.Equal(t, "AK2", retrieve(t, c).AccessKeyID)
		c.Invalidate(first) // a late report about the old credentials
		c.Invalidate(aws.Credentials{})
		assert.Equal(t, "AK2", retrieve(t, c).AccessKeyID)
		assert.Equal(t, 2, s.count())
	})
}

func TestInvalidateDuringAttemptKeepsItsResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour, delay: 5 * time.Second}
		c := newCache(t, s)
		first := retrieve(t, c)
		var wg sync.WaitGroup
		wg.Go(func() { assert.NoError(t, c.Refresh(t.Context())) })
		defer wg.Wait()
		time.Sleep(time.Second)
		c.Invalidate(first)
		assert.Equal(t, "AK2", retrieve(t, c).AccessKeyID)
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 2, s.count())
	})
}

func TestInvalidateStartsOneAttemptPerMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		for range 10 * 60 * 10 {
			creds, err := c.Retrieve(t.Context())
			if err == nil {
				c.Invalidate(creds)
			} else {
				require.ErrorIs(t, err, cache.ErrRejected)
				var failure *cache.Error
				require.ErrorAs(t, err, &failure)
				require.LessOrEqual(t, time.Until(failure.NextAttempt), time.Minute)
			}
			time.Sleep(100 * time.Millisecond)
		}
		assert.LessOrEqual(t, s.count(), 12)
		assert.Greater(t, s.count(), 9)
	})
}

func TestInvalidateTreatsWithdrawnCredentialsAsFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		same := keys(7, time.Hour)
		c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return same, nil }))
		c.Invalidate(retrieve(t, c))
		_, err := c.Retrieve(t.Context())
		require.ErrorContains(t, err, "passed to Invalidate")
	})
}

func TestInvalidateDuringOutageWaitsForNextAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		creds := retrieve(t, c)
		s.setError(errBroken)
		time.Sleep(50 * time.Minute)
		before := s.count()
		stop := retrieveEvery(t, c, 100*time.Millisecond, 5)
		start := time.Now()
		c.Invalidate(creds)
		time.Sleep(time.Minute)
		stop()
		assert.Greater(t, s.count(), before)
		for i, call := range s.callsSince(start) {
			assert.LessOrEqual(t, call, time.Duration(i+1)*6*time.Second)
			assert.GreaterOrEqual(t, call, time.Duration(i)*4*time.Second)
		}
	})
}

func TestInvalidateSpacingDoesNotAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		creds := retrieve(t, c)
		for range 30 { // a service rejects all new credentials
			c.Invalidate(creds)
			require.NoError(t, c.Refresh(t.Context()))
			creds = retrieve(t, c)
			time.Sleep(time.Second)
		}
		c.Invalidate(creds)
		time.Sleep(time.Minute)
		retrieve(t, c) // after a minute at the latest
	})
}

func TestInvalidateThroughViewStartsOneAttemptPerMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		c := newCache(t, s)
		view := c.MinTTL(10 * time.Minute)
		for range 5 * 60 * 10 {
			if creds, err := view.Retrieve(t.Context()); err == nil {
				c.Invalidate(creds)
			}
			time.Sleep(100 * time.Millisecond)
		}
		assert.LessOrEqual(t, s.count(), 7)
		assert.GreaterOrEqual(t, s.count(), 5)
	})
}

func TestInvalidateRemembersEveryWithdrawnKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := keys(1, time.Hour), keys(2, time.Hour)
		var now atomic.Pointer[aws.Credentials]
		now.Store(&a)
		c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return *now.Load(), nil }))
		c.Invalidate(retrieve(t, c))
		now.Store(&b)
		time.Sleep(time.Minute)
		c.Invalidate(retrieve(t, c))
		now.Store(&a)
		time.Sleep(5 * time.Minute)
		_, err := c.Retrieve(t.Context())
		require.ErrorContains(t, err, "passed to Invalidate", "the first key stays withdrawn")
	})
}

// A late report can concern older credentials, or credentials of another process.
func TestInvalidateRemembersUnservedKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other, old, served := keys(1, time.Hour), keys(2, time.Hour), keys(3, time.Hour)
		var now atomic.Pointer[aws.Credentials]
		now.Store(&old)
		c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return *now.Load(), nil }))
		c.Invalidate(other)
		retrieve(t, c)
		now.Store(&served)
		time.Sleep(time.Second)
		require.NoError(t, c.Refresh(t.Context()))
		for range 20 {
			c.Invalidate(old)
		}
		for _, again := range []aws.Credentials{other, old} {
			now.Store(&again)
			time.Sleep(time.Second)
			require.ErrorContains(t, c.Refresh(t.Context()), "passed to Invalidate")
			assert.Equal(t, served.AccessKeyID, retrieve(t, c).AccessKeyID)
		}
	})
}

// The source returned the credentials again before they were withdrawn. This must not delay the
// attempt to replace them.
func TestInvalidateOfRepeatedCredentialsStartsAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &cachingSource{lifetime: time.Hour}
		c := newCache(t, s)
		first := retrieve(t, c)
		time.Sleep(time.Minute)
		require.NoError(t, c.Refresh(t.Context()))
		require.Equal(t, first.AccessKeyID, retrieve(t, c).AccessKeyID)
		time.Sleep(time.Minute)
		s.early = time.Hour // returns new credentials from now on
		c.Invalidate(first)
		assert.Equal(t, "AK2", retrieve(t, c).AccessKeyID)
	})
}

// The SDK's own cache would return the withdrawn credentials until they expire.
func TestInvalidateAppliesToSDKCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{lifetime: time.Hour}
		sdk := aws.NewCredentialsCache(s)
		c := newCache(t, sdk)
		c.Invalidate(retrieve(t, c))
		assert.Equal(t, "AK2", retrieve(t, c).AccessKeyID)
		assert.Equal(t, "AK2", retrieve(t, sdk).AccessKeyID)
		assert.Equal(t, 2, s.count())
	})
}
