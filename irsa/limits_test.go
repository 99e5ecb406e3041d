package irsa_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestProviderLimitsHugeAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p := newProvider(t, pod.Options, func(o *irsa.Options) { o.AttemptTimeout = math.MaxInt64 })
		k.STS.SetLatency(time.Minute)
		retrieve(t, p)
		k.STS.Fail(irsatest.Hang, 1)
		start := time.Now()
		require.ErrorIs(t, p.Refresh(t.Context()), context.DeadlineExceeded)
		assert.Equal(t, time.Hour, time.Since(start))
	})
}

func TestPoolAcceptsHugeOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod, tenants := newTenants(t, 10)
		p := newPool(t, pod, func(o *irsa.PoolOptions) {
			o.MaxCalls, o.MaxRoles, o.AttemptTimeout = math.MaxInt, math.MaxInt, math.MaxInt64
		})
		for _, tenant := range tenants {
			retrieve(t, pooled(t, p, tenant))
		}
		assert.Equal(t, 10, p.Status().Roles)
		assert.Equal(t, 1_000_000, p.Status().Calls.Slots)
	})
}
