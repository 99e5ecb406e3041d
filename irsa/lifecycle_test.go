package irsa_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestProviderReturnsErrClosedAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p, err := irsa.New(pod.Options)
		require.NoError(t, err)
		view := p.MinTTL(time.Minute)
		retrieve(t, p)
		require.NoError(t, p.Close())
		require.NoError(t, p.Close())
		for name, call := range map[string]func() error{
			"Retrieve":   func() error { _, err := p.Retrieve(t.Context()); return err },
			"MinTTL":     func() error { _, err := view.Retrieve(t.Context()); return err },
			"Refresh":    func() error { return p.Refresh(t.Context()) },
			"WaitReady":  func() error { return p.WaitReady(t.Context()) },
			"AssumeRole": func() error { _, err := p.AssumeRole(pod.RoleARN()); return err },
		} {
			err := call()
			require.ErrorIs(t, err, irsa.ErrClosed, name)
			var failure *irsa.Error
			require.ErrorAs(t, err, &failure, name)
			assert.Equal(t, pod.RoleARN(), failure.RoleARN, name)
		}
		time.Sleep(24 * time.Hour)
		assert.Equal(t, 1, k.STS.CallCount())
	})
}

func TestProviderCloseCancelsExchangeAndWakesCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		k.STS.Fail(irsatest.Hang, -1)
		p, err := irsa.New(pod.Options)
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				_, err := p.Retrieve(t.Context())
				assert.ErrorIs(t, err, irsa.ErrClosed)
			})
		}
		synctest.Wait()
		start := time.Now()
		require.NoError(t, p.Close())
		wg.Wait()
		assert.Zero(t, time.Since(start))
	})
}

func TestProviderInvalidateDuringExchangeKeepsItsResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p := newProvider(t, pod.Options)
		first := retrieve(t, p)
		k.STS.SetLatency(5 * time.Second)
		var wg sync.WaitGroup
		wg.Go(func() { assert.NoError(t, p.Refresh(t.Context())) })
		defer wg.Wait()
		time.Sleep(2 * time.Second)
		p.Invalidate(first)
		second := retrieve(t, p)
		assert.NotEqual(t, first.AccessKeyID, second.AccessKeyID)
		p.Invalidate(first)
		assert.Equal(t, second, retrieve(t, p))
		assert.Equal(t, 2, k.STS.CallCount())
	})
}

// collected runs the garbage collector up to 20 times and reports whether the Provider has been
// collected.
func collected(p weak.Pointer[irsa.Provider]) bool {
	for range 20 {
		runtime.GC()
		if p.Value() == nil {
			return true
		}
	}
	return false
}

func TestProviderUnreachableIsCollectedAndWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		dropped := func() weak.Pointer[irsa.Provider] {
			p, err := irsa.New(pod.Options)
			require.NoError(t, err)
			retrieve(t, p)
			return weak.Make(p)
		}()
		synctest.Wait()
		assert.True(t, collected(dropped))
		time.Sleep(24 * time.Hour) // a leaked watch would prevent the bubble from ending
		assert.Equal(t, 1, k.STS.CallCount())
	})
}

func TestProviderUnreachableIsCollectedInRealTime(t *testing.T) {
	_, pod := newPod(t)
	dropped := func() weak.Pointer[irsa.Provider] {
		p, err := irsa.New(pod.Options)
		require.NoError(t, err)
		retrieve(t, p)
		return weak.Make(p)
	}()
	require.Eventually(t, func() bool { return collected(dropped) }, time.Minute, time.Millisecond)
}

func TestProviderReachableOnlyThroughClientOrMinTTLContinues(t *testing.T) {
	for _, tt := range []struct {
		name string
		hold func(*irsa.Provider, *irsatest.Cluster) func(context.Context) error
	}{
		{"an SDK client", func(p *irsa.Provider, k *irsatest.Cluster) func(context.Context) error {
			client := sts.NewFromConfig(p.AWSConfig(), func(o *sts.Options) { o.HTTPClient = k.HTTPClient() })
			return func(ctx context.Context) error {
				creds, err := client.Options().Credentials.Retrieve(ctx)
				if err == nil && creds.Expired() {
					err = assert.AnError
				}
				return err
			}
		}},
		{"a MinTTL view", func(p *irsa.Provider, _ *irsatest.Cluster) func(context.Context) error {
			view := p.MinTTL(10 * time.Minute)
			return func(ctx context.Context) error {
				creds, err := view.Retrieve(ctx)
				if err == nil && time.Until(creds.Expires) < 10*time.Minute {
					err = assert.AnError
				}
				return err
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				dropped, use := func() (weak.Pointer[irsa.Provider], func(context.Context) error) {
					p, err := irsa.New(pod.Options)
					require.NoError(t, err)
					return weak.Make(p), tt.hold(p, k)
				}()
				steps := testsize.Choose(20, 100, 100)
				for range steps {
					require.NoError(t, use(t.Context()))
					runtime.GC()
					time.Sleep(10 * time.Minute)
				}
				assert.Greater(t, k.STS.CallCount(), steps/6, "refreshed in the background")
				require.True(t, collected(dropped))
				time.Sleep(24 * time.Hour)
			})
		})
	}
}

func TestProviderDoesNotLeakGoroutines(t *testing.T) {
	before := goroutines() // a watch of another test may still be running
	k, err := irsatest.Start()
	require.NoError(t, err)
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	for range 10 {
		p, err := irsa.New(pod.Options, func(o *irsa.Options) { o.HTTPClient = nil })
		require.NoError(t, err)
		retrieve(t, p)
		require.NoError(t, p.Close())
	}
	require.NoError(t, k.Close())
	// The goroutines of a closed connection may end later.
	assert.Eventually(t, func() bool { return goroutines() <= before }, time.Minute, 10*time.Millisecond)
}

// goroutines returns the number of goroutines of the library and of HTTP connections.
func goroutines() (n int) {
	all := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(all[:runtime.Stack(all, true)]), "\n\n") {
		for _, name := range []string{"irsakit/irsa.(*watch)", "irsakit/cache.", "irsakit/internal/notify.", "persistConn"} {
			if strings.Contains(stack, name) {
				n++
				break
			}
		}
	}
	return n
}

func TestMinTTLAbove60PercentOfLifetimeIsInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p := newProvider(t, pod.Options)
		_, err := p.MinTTL(time.Hour).Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrInvalidRequest)
		_, err = p.MinTTL(time.Hour).Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrInvalidRequest)
		assert.Equal(t, 1, k.STS.CallCount())
	})
}

func TestWaitReadyOutlastsTemporaryFailures(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault irsatest.Fault
		most  time.Duration
	}{
		{"sidecar not ready yet", irsatest.Reset, 6 * time.Second},
		{"a newly created role", irsatest.AccessDenied, 31 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				k.STS.Fail(tt.fault, -1)
				p := newProvider(t, pod.Options)
				time.AfterFunc(time.Minute, k.STS.Recover)
				start := time.Now()
				require.NoError(t, p.WaitReady(t.Context()))
				assert.LessOrEqual(t, time.Since(start), time.Minute+tt.most)
				retrieve(t, p)
			})
		})
	}
}

func TestWaitReadyStopsWithContextAndReportsLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		k.STS.Fail(irsatest.AccessDenied, -1)
		p := newProvider(t, pod.Options)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		err := p.WaitReady(ctx)
		assert.Equal(t, time.Minute, time.Since(start))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, irsa.ErrAccessDenied)
		assert.Contains(t, fmt.Sprintf("%+v", err), "waiting for credentials: context deadline exceeded; the last attempt failed")
		assert.Equal(t, 1, strings.Count(err.Error(), pod.RoleARN()), err.Error())
	})
}

func TestWaitReadyAfterFailureReportsEndOfContext(t *testing.T) {
	k, pod := newPod(t)
	k.STS.Fail(irsatest.AccessDenied, -1)
	p := newProvider(t, pod.Options)
	require.ErrorIs(t, p.Refresh(t.Context()), irsa.ErrAccessDenied)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := p.WaitReady(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, irsa.ErrAccessDenied)
}

func TestRetrieveFromCacheDoesNotAllocate(t *testing.T) {
	_, pod := newPod(t)
	p := newProvider(t, pod.Options)
	ctx := t.Context()
	var provider aws.CredentialsProvider = p
	retrieve(t, provider)
	view := p.MinTTL(time.Minute)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = provider.Retrieve(ctx) }))
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = view.Retrieve(ctx) }))
}

func TestMinTTLReturnsPlainCredentialsProvider(t *testing.T) {
	_, pod := newPod(t)
	p := newProvider(t, pod.Options)
	view := p.MinTTL(time.Minute)
	_, closer := view.(io.Closer)
	assert.False(t, closer, "a user of the credentials must not be able to close the Provider")
	assert.Equal(t, fmt.Sprintf("irsa.Provider(%s, empty)", pod.RoleARN()), fmt.Sprintf("%+v", p))
	assert.Equal(t, "cache.Cache(empty)", fmt.Sprintf("%#v", view))
}
