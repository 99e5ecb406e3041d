package cache_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

// TestLimiterLimitsSlowTenantsTogether lets several tenants flood the Limiter with slow attempts, and
// measures how long four other tenants wait whose attempts take the given time.
func TestLimiterLimitsSlowTenantsTogether(t *testing.T) {
	hang := func() aws.CredentialsProvider { return &source{hung: true} }
	for _, tt := range []struct {
		name           string
		slots, tenants int
		source         func() aws.CredentialsProvider
		attempt        time.Duration
	}{
		{"two hang", 4, 2, hang, healthyAttempt},
		{"two hang", 32, 2, hang, healthyAttempt},
		{"ten hang", 4, 10, hang, healthyAttempt},
		{"ten hang", 32, 10, hang, healthyAttempt},
		{"two are answered late", 4, 2, func() aws.CredentialsProvider { return &source{lifetime: time.Hour, delay: 9 * time.Second} }, healthyAttempt},
		{"ten are denied late", 32, 10, func() aws.CredentialsProvider { return &source{err: errDenied, delay: 9 * time.Second} }, healthyAttempt},
		{"one hangs, and the others are slow too", 32, 1, hang, 4 * time.Second},
	} {
		t.Run(fmt.Sprintf("%s, %d slots", tt.name, tt.slots), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := cache.NewLimiter(tt.slots)
				ctx, stop := context.WithCancel(t.Context())
				var misbehaving sync.WaitGroup
				defer misbehaving.Wait()
				defer stop()
				for i := range tt.tenants {
					m := misbehavior{tenant: fmt.Sprint("slow ", i), source: tt.source, renewed: true}
					m.misbehave(ctx, l, &misbehaving)
				}
				time.Sleep(time.Minute)
				for range 20 {
					time.Sleep(17 * time.Second)
					var callers sync.WaitGroup
					for i := range 4 {
						callers.Go(func() {
							begin := time.Now()
							c := cache.New(&source{lifetime: time.Hour, delay: tt.attempt}, quiet, withTenant(l, fmt.Sprint("other ", i)))
							_, err := c.Retrieve(ctx)
							assert.NoError(t, err)
							assert.LessOrEqual(t, time.Since(begin), 2*tt.attempt)
							assert.NoError(t, c.Close())
						})
					}
					callers.Wait()
					require.False(t, t.Failed())
				}
			})
		})
	}
}
