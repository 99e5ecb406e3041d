package irsa_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

// Token functions that ignore their context retrieve from other roles of the Pool. The nested
// exchanges start while the outer exchange has a slot, so late that it is abandoned before they end,
// or after it was abandoned.
func TestPoolNestedExchangesRunWithinMaxCalls(t *testing.T) {
	t.Parallel()
	same := func(ctx context.Context) context.Context { return ctx }
	for name, test := range map[string]struct {
		delay   time.Duration // before the nested exchange
		context func(context.Context) context.Context
	}{
		"in the slot":                 {0, same},
		"late in the slot":            {9900 * time.Millisecond, same},
		"after the context has ended": {10050 * time.Millisecond, same},
		"abandoned":                   {11 * time.Second, same},
		"abandoned, with a context without an end": {11 * time.Second, context.WithoutCancel},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const outers, maxCalls = 6, 2
				k, pod, tenants := newTenants(t, 60)
				k.STS.SetLatency(3 * time.Second)
				requests := &gauge{RoundTripper: k.HTTPClient().Transport}
				p := newPool(t, pod, func(o *irsa.PoolOptions) {
					o.MaxCalls, o.HTTPClient = maxCalls, &http.Client{Transport: requests}
				})
				sa := k.ServiceAccount("shop", "cart")
				var callers sync.WaitGroup
				for i, tenant := range tenants {
					if i < outers {
						role := k.Role(fmt.Sprint("inner-", i), irsatest.Trust(sa))
						inner := pooled(t, p, irsa.RoleOptions{RoleARN: role.ARN()})
						tenant.Token = irsa.TokenFunc(fmt.Sprint("outer-", i), func(ctx context.Context) (tokenfile.Token, error) {
							time.Sleep(test.delay)
							_ = inner.Ready(test.context(ctx))
							return tokenfile.Parse(sa.Token())
						})
					}
					callers.Go(func() {
						for range 20 {
							if pooled(t, p, tenant).Ready(t.Context()) == nil {
								return
							}
							time.Sleep(time.Second)
						}
					})
				}
				callers.Wait()
				time.Sleep(10 * time.Minute) // the outer exchanges are retried without callers
				assert.LessOrEqual(t, requests.most.Load(), int64(maxCalls))
				assert.Equal(t, cache.LimiterStatus{Slots: maxCalls}, p.Status().Calls)
			})
		})
	}
}
