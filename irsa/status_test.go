package irsa_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go/metrics"
	"github.com/aws/smithy-go/tracing"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

func TestStatusKindOfLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p := newProvider(t, pod.Options)
		assert.NoError(t, p.Status().Kind)
		require.EqualError(t, p.Healthy(), "cache: no credentials obtained yet")
		retrieve(t, p)
		assert.NoError(t, p.Status().Kind)
		require.NoError(t, p.Healthy())
		for _, failure := range []struct {
			fault irsatest.Fault
			kind  error
		}{
			{irsatest.Throttling, irsa.ErrThrottled},
			{irsatest.AccessDenied, irsa.ErrAccessDenied},
			{irsatest.Unavailable, irsa.ErrUnavailable},
			{irsatest.ExpiredToken, irsa.ErrTokenExpired},
		} {
			time.Sleep(2 * time.Minute) // longer than any backoff
			k.STS.Fail(failure.fault, 1)
			err := p.Refresh(t.Context())
			require.ErrorIs(t, err, failure.kind)
			assert.Equal(t, failure.kind, p.Status().Kind)
			assert.Equal(t, cache.Stale, p.Status().State)
			require.ErrorIs(t, p.Healthy(), failure.kind)
		}
		time.Sleep(2 * time.Minute)
		require.NoError(t, p.Refresh(t.Context()))
		assert.NoError(t, p.Status().Kind)
		k.STS.Fail(irsatest.Hang, -1) // the exchange for new credentials must not fail yet
		p.Invalidate(retrieve(t, p))
		assert.Equal(t, irsa.ErrRejected, p.Status().Kind)
		require.ErrorIs(t, p.Healthy(), irsa.ErrRejected)
		assert.Equal(t, cache.Expired, p.Status().State)
		require.NoError(t, p.Close())
		assert.Equal(t, irsa.ErrClosed, p.Status().Kind)
		require.ErrorIs(t, p.Healthy(), irsa.ErrClosed)
	})
}

func TestStatusKindOfHungAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod := newPod(t)
		release := make(chan struct{})
		p := newProvider(t, pod.Options, func(o *irsa.Options) {
			o.TokenFile = ""
			o.Token = irsa.TokenFunc("shop/cart", func(context.Context) (tokenfile.Token, error) {
				<-release // ignores the context
				return tokenfile.Token{}, errors.New("released")
			})
		})
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		_, err := p.Retrieve(ctx)
		require.Error(t, err)
		assert.Equal(t, irsa.ErrUnavailable, p.Status().Kind)
		close(release)
	})
}

func TestStatusReportsNewestTokenBeforeItsExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod := newPod(t)
		var r recorder
		p := newProvider(t, pod.Options, r.options)
		assert.Zero(t, p.Status().TokenIssued)
		retrieve(t, p)
		first := p.Status()
		assert.WithinDuration(t, time.Now(), first.TokenIssued, time.Second)
		assert.True(t, first.TokenExpiry.After(first.TokenIssued))
		time.Sleep(10 * time.Minute)
		pod.Rotate()
		time.Sleep(2 * time.Minute)
		second := p.Status()
		require.Equal(t, first.LastSuccess, second.LastSuccess, "no exchange yet")
		assert.Equal(t, 10*time.Minute, second.TokenIssued.Sub(first.TokenIssued))
		assert.Equal(t, 10*time.Minute, second.TokenExpiry.Sub(first.TokenExpiry))
		r.mu.Lock()
		defer r.mu.Unlock()
		last := r.events[len(r.events)-1]
		assert.Equal(t, irsa.EventTokenRotated, last.Kind)
		assert.Equal(t, second.TokenExpiry, last.Status.TokenExpiry)
	})
}

// The observer blocks until the token has been rotated.
func TestObserveReceivesStatusAfterEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod := newPod(t)
		blocked, events := make(chan struct{}), make(chan irsa.Event, 10)
		p := newProvider(t, pod.Options, func(o *irsa.Options) { o.Observe = func(e irsa.Event) { <-blocked; events <- e } })
		retrieve(t, p)
		before := p.Status()
		require.NoError(t, p.Refresh(t.Context()))
		time.Sleep(10 * time.Minute)
		pod.Rotate()
		time.Sleep(2 * time.Minute)
		require.NotEqual(t, before.TokenIssued, p.Status().TokenIssued)
		close(blocked)
		for range 2 {
			assert.Equal(t, before.TokenIssued, (<-events).Status.TokenIssued)
		}
	})
}

func TestStatusNamesSourceRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod, roles := threeAccounts(t)
		chain := chained(t, newProvider(t, pod.Options), roles)
		assert.Empty(t, chain[0].Status().Source)
		for i, derived := range chain[1:] {
			assert.Equal(t, chain[i].Status().RoleARN, derived.Status().Source)
			require.EqualError(t, derived.Healthy(), "cache: no credentials obtained yet")
		}
		retrieve(t, chain[2])
		require.NoError(t, chain[2].Healthy())
	})
}

func TestPoolStatusCountsRolesWithoutCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, pod, tenants := newTenants(t, 3)
		p := newPool(t, pod)
		for _, tenant := range tenants[:2] {
			retrieve(t, pooled(t, p, tenant))
		}
		k.STS.Down()
		require.Error(t, pooled(t, p, tenants[0]).Refresh(t.Context()))
		_, err := pooled(t, p, tenants[2]).Retrieve(t.Context())
		require.Error(t, err)
		status := p.Status()
		assert.Equal(t, []int{3, 2, 1}, []int{status.Roles, status.Failing, status.NoCredentials})
		time.Sleep(2 * time.Hour)
		status = p.Status()
		assert.Equal(t, []int{3, 3, 3}, []int{status.Roles, status.Failing, status.NoCredentials})
	})
}

// spans is a tracer that records the names of spans.
type spans struct {
	tracing.NopTracerProvider
	mu    sync.Mutex
	names []string
}

func (s *spans) Tracer(string, ...tracing.TracerOption) tracing.Tracer { return s }

func (s *spans) StartSpan(ctx context.Context, name string, _ ...tracing.SpanOption) (context.Context, tracing.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names = append(s.names, name)
	_, span := (tracing.NopTracerProvider{}).Tracer("").StartSpan(ctx, name)
	return ctx, span
}

// meters is a MeterProvider that counts the requested meters.
type meters struct {
	metrics.NopMeterProvider
	mu    sync.Mutex
	count int
}

func (m *meters) Meter(scope string, opts ...metrics.MeterOption) metrics.Meter {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	return m.NopMeterProvider.Meter(scope, opts...)
}

func TestProviderTracesAndMetersExchanges(t *testing.T) {
	_, pod := newPod(t)
	var s spans
	var m meters
	p := newProvider(t, pod.Options, func(o *irsa.Options) { o.TracerProvider, o.MeterProvider = &s, &m })
	retrieve(t, p)
	s.mu.Lock()
	defer s.mu.Unlock()
	assert.Contains(t, s.names, "STS.AssumeRoleWithWebIdentity")
	assert.Positive(t, m.count)
}

func TestProviderReadyWhileCredentialsAreValid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p, err := irsa.New(pod.Options)
		require.NoError(t, err)
		defer p.Close()
		probe := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return p.Ready(ctx)
		}
		k.STS.Down()
		require.ErrorIs(t, probe(), irsa.ErrUnavailable)
		k.STS.Up()
		time.Sleep(10 * time.Second)
		require.NoError(t, probe(), "the probe starts the exchange itself")

		k.STS.Down()
		time.Sleep(50 * time.Minute)
		require.NoError(t, probe(), "the credentials are valid")
		require.Error(t, p.Healthy(), "refreshing fails")
		time.Sleep(10 * time.Minute)
		require.ErrorIs(t, probe(), irsa.ErrUnavailable)

		require.NoError(t, p.Close())
		require.ErrorIs(t, probe(), irsa.ErrClosed)
	})
}
