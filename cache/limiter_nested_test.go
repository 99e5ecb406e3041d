package cache_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/cache"
)

func TestLimiterReusesSlotForNestedCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := answeredLimiter(t, 2)
		var b tracker
		var callers sync.WaitGroup
		for range 10 {
			inner := newCache(t, b.source("inner", nil), withLimiter(l))
			outer := newCache(t, aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
				if _, err := inner.Retrieve(ctx); err != nil {
					return aws.Credentials{}, err
				}
				return b.source("outer", nil).Retrieve(ctx)
			}), withLimiter(l))
			callers.Go(func() { retrieve(t, outer) })
		}
		begin := time.Now()
		callers.Wait()
		assert.Equal(t, 10*time.Second, time.Since(begin))
		assert.Equal(t, 2, b.most)
		synctest.Wait()
		assert.Equal(t, cache.LimiterStatus{Slots: 2}, l.Status())
	})
}

func TestLimiterReusesSlotForRetryOfNestedCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := cache.NewLimiter(2)
		begin := time.Now()
		var callers sync.WaitGroup
		for range 10 {
			inner := &source{lifetime: time.Hour, err: errBroken}
			c := newCache(t, inner, withLimiter(l))
			outer := newCache(t, aws.CredentialsProviderFunc(c.Retrieve), withLimiter(l))
			callers.Go(func() { retrieve(t, outer) })
			time.AfterFunc(100*time.Millisecond, func() { inner.setError(nil) })
		}
		callers.Wait()
		assert.Less(t, time.Since(begin), 5*time.Second, "each attempt takes its backoff, not AttemptTimeout")
		synctest.Wait()
		assert.Equal(t, cache.LimiterStatus{Slots: 2}, l.Status())
	})
}
