package cache_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/test/testsize"
)

const (
	attemptTimeout  = 10 * time.Second
	abandonedAfter  = attemptTimeout + 100*time.Millisecond
	healthyAttempt  = 200 * time.Millisecond
	healthyLifetime = 15 * time.Minute
)

var errDenied = &smithy.GenericAPIError{Code: "AccessDenied"}

func healthySource() *source {
	return &source{lifetime: healthyLifetime, delay: healthyAttempt}
}

func withTenant(l *cache.Limiter, tenant string) func(*cache.Options) {
	return func(o *cache.Options) { o.Limiter, o.Tenant = l, tenant }
}

// TestLimiterIsFairBetweenTenants lets a tenant misbehave, and measures how long new Caches of two other
// tenants wait for their first credentials.
func TestLimiterIsFairBetweenTenants(t *testing.T) {
	for _, m := range misbehaviors {
		for _, slots := range []int{1, 4, 32} {
			t.Run(fmt.Sprintf("%s, %d slots", m.name, slots), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					limit := 2 * healthyAttempt // healthyAttempt is what they wait without the misbehaving tenant
					if slots == 1 {
						limit += abandonedAfter
					}
					assert.LessOrEqual(t, longestWait(t, m, slots), limit)
				})
			})
		}
	}
}

// longestWait returns how long new Caches waited at most. It requires that older ones are always served.
func longestWait(t *testing.T, m misbehavior, slots int) (longest time.Duration) {
	l := cache.NewLimiter(slots)
	tenants := []string{"healthy", "also healthy"}
	var served []*cache.Cache
	for i := range 10 {
		served = append(served, newCache(t, healthySource(), withTenant(l, tenants[i%2])))
		retrieve(t, served[i])
	}
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	defer callers.Wait()
	defer stop()
	m.misbehave(ctx, l, &callers)
	end := time.Duration(testsize.Choose(20, 30, 30)) * time.Minute // more than healthyLifetime
	start := time.Now()
	for i := 0; time.Since(start) < end; i++ {
		time.Sleep(time.Duration(3000+1700*i%9000) * time.Millisecond) // at any time within an attempt
		begin := time.Now()
		c := cache.New(healthySource(), quiet, withTenant(l, tenants[i%2]))
		_, err := c.Retrieve(ctx)
		require.NoError(t, err)
		longest = max(longest, time.Since(begin))
		c.Close()
		for _, c := range served {
			require.True(t, c.TryRetrieve(new(aws.Credentials)), "valid credentials were lost after %v", time.Since(start))
		}
	}
	return longest
}

// TestLimiterIsFairToConcurrentCallers has one slot. Several callers of two tenants wait for their first
// credentials at the same time, while a third tenant misbehaves.
func TestLimiterIsFairToConcurrentCallers(t *testing.T) {
	const callersPerTenant = 4
	for _, m := range misbehaviors {
		t.Run(m.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := cache.NewLimiter(1)
				ctx, stop := context.WithCancel(t.Context())
				var misbehaving sync.WaitGroup
				defer misbehaving.Wait()
				defer stop()
				m.misbehave(ctx, l, &misbehaving)
				for range 20 {
					time.Sleep(37 * time.Second)
					begin := time.Now()
					var callers sync.WaitGroup
					for i := range 2 * callersPerTenant {
						callers.Go(func() {
							c := cache.New(healthySource(), quiet, withTenant(l, fmt.Sprint("healthy ", i%2)))
							_, err := c.Retrieve(ctx)
							assert.NoError(t, err)
							assert.NoError(t, c.Close())
						})
					}
					callers.Wait()
					require.LessOrEqual(t, time.Since(begin), 2*2*callersPerTenant*healthyAttempt+abandonedAfter)
				}
			})
		})
	}
}

// TestLimiterAdmitsNewTenant checks that a new tenant gets a slot although the only other one
// misbehaves, or has misbehaved for some time.
func TestLimiterAdmitsNewTenant(t *testing.T) {
	everything := func(ctx context.Context, l *cache.Limiter, callers *sync.WaitGroup) {
		for _, m := range misbehaviors {
			m.misbehave(ctx, l, callers)
		}
	}
	for _, after := range []time.Duration{0, 100 * time.Second, 3 * time.Minute} {
		for _, slots := range []int{1, 4, 32} {
			for _, m := range misbehaviors {
				requireAdmitsNewTenant(t, fmt.Sprintf("%s, %d slots, after %v", m.name, slots, after), slots, after, m.misbehave)
			}
			requireAdmitsNewTenant(t, fmt.Sprintf("everything, %d slots, after %v", slots, after), slots, after, everything)
		}
	}
}

func requireAdmitsNewTenant(t *testing.T, name string, slots int, after time.Duration, misbehave func(context.Context, *cache.Limiter, *sync.WaitGroup)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := cache.NewLimiter(slots)
			ctx, stop := context.WithCancel(t.Context())
			var callers sync.WaitGroup
			defer callers.Wait()
			defer stop()
			if after > 0 {
				retrieve(t, newCache(t, healthySource(), withTenant(l, "misbehaving"))) // it did not at first
			}
			misbehave(ctx, l, &callers)
			time.Sleep(after)
			synctest.Wait()
			begin := time.Now()
			retrieve(t, newCache(t, healthySource(), withTenant(l, "unknown")))
			limit := 2 * healthyAttempt
			if slots == 1 {
				limit += abandonedAfter
			}
			assert.LessOrEqual(t, time.Since(begin), limit)
		})
	})
}

// TestLimiterDoesNotStarveHealthyRefreshes has one slot, whose tenant has 400 denied Caches with callers.
func TestLimiterDoesNotStarveHealthyRefreshes(t *testing.T) {
	t.Parallel()
	for _, tenant := range []string{"denied", "healthy"} {
		t.Run(tenant, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := cache.NewLimiter(1)
				healthy := newCache(t, healthySource(), withTenant(l, tenant))
				retrieve(t, healthy)
				ctx, stop := context.WithCancel(t.Context())
				var callers sync.WaitGroup
				defer callers.Wait()
				defer stop()
				for range 400 {
					c := newCache(t, &source{err: errDenied, delay: healthyAttempt}, withTenant(l, "denied"))
					callers.Go(func() {
						for ctx.Err() == nil {
							_, _ = c.Retrieve(ctx)
							time.Sleep(time.Second)
						}
					})
				}
				for range testsize.Choose(20, 60, 60) * 60 / 5 {
					begin := time.Now()
					retrieve(t, healthy)
					require.Zero(t, time.Since(begin))
					time.Sleep(5 * time.Second)
				}
			})
		})
	}
}

func TestLimiterThrottlesOneTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := cache.NewLimiter(32)
		var mu sync.Mutex
		err := error(&smithy.GenericAPIError{Code: "Throttling"})
		throttled := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			time.Sleep(healthyAttempt)
			mu.Lock()
			defer mu.Unlock()
			return aws.Credentials{}, err
		})
		ctx, stop := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		defer callers.Wait()
		defer stop()
		for range 100 {
			c := newCache(t, throttled, withTenant(l, "throttled"))
			callers.Go(func() {
				for ctx.Err() == nil {
					_, _ = c.Retrieve(ctx)
					time.Sleep(time.Second)
				}
			})
		}
		time.Sleep(20 * time.Second)
		assert.Equal(t, 1, l.Status().Slots)
		var b tracker
		begin := time.Now()
		var others sync.WaitGroup
		for range 16 {
			c := newCache(t, b.source("other", nil), withTenant(l, "other"))
			others.Go(func() { retrieve(t, c) })
		}
		others.Wait()
		assert.Equal(t, time.Second, time.Since(begin), "the other tenant has half of the slots")
		mu.Lock()
		err = errDenied
		mu.Unlock()
		time.Sleep(2 * time.Minute)
		assert.Less(t, l.Status().Waiting, 10, "denials restore slots")
	})
}
