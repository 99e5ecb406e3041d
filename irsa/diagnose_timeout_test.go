package irsa_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

func TestDiagnoseReturnsWithin10SecondsIfStepHangs(t *testing.T) {
	for name, slow := range map[string]func(*irsatest.STS, *irsatest.Role, *irsa.Options){
		"all of it": func(s *irsatest.STS, _ *irsatest.Role, _ *irsa.Options) { s.Fail(irsatest.Hang, -1) },
		"slow, and the exchange": func(s *irsatest.STS, r *irsatest.Role, _ *irsa.Options) {
			s.SetLatency(2400 * time.Millisecond)
			r.Fail(irsatest.Hang, -1)
		},
		"all of it, slowly": func(s *irsatest.STS, _ *irsatest.Role, _ *irsa.Options) { s.SetLatency(2400 * time.Millisecond) },
		"the token function": func(_ *irsatest.STS, _ *irsatest.Role, o *irsa.Options) {
			o.TokenFile, o.Token, o.Region = "", hangingTokens{}, ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				begin := time.Now()
				report := irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) {
					slow(k.STS, k.Role("s3-writer"), o)
				})
				assert.Less(t, time.Since(begin), 10*time.Second)
				assert.False(t, report.OK())
			})
		})
	}
}

type hangingTokens struct{}

func (hangingTokens) Identity() string { return "shop/cart" }

func (hangingTokens) Token(ctx context.Context) (tokenfile.Token, error) {
	<-ctx.Done()
	return tokenfile.Token{}, ctx.Err()
}

func TestDiagnoseStopsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		k.STS.Fail(irsatest.Hang, -1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		report := irsa.Diagnose(ctx, pod.Options)
		assert.Equal(t, time.Second, time.Since(begin))
		assert.Equal(t, "failed", statusOf(report, "answer"))
	})
}

func TestDiagnoseHonorsContextInEveryStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod := newPod(t)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		begin := time.Now()
		report := irsa.Diagnose(ctx, pod.Options, func(o *irsa.Options) { o.TokenFile, o.Token, o.Region = "", hangingTokens{}, "" })
		assert.Equal(t, 200*time.Millisecond, time.Since(begin))
		assert.False(t, report.OK())
		report = irsa.Diagnose(ctx, pod.Options) // ctx is already done
		assert.False(t, report.OK(), "no credentials were obtained")
		for _, name := range []string{"connection", "answer", "exchange"} {
			assert.Equal(t, "skipped", statusOf(report, name), name)
		}
	})
}

// TestDiagnoseFailsWhenCanceled cancels the context while STS hangs, and while the token is exchanged.
func TestDiagnoseFailsWhenCanceled(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			k, pod := newPod(t)
			k.STS.SetLatency(2 * time.Second)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if after == 0 {
				cancel()
			}
			time.AfterFunc(after, cancel)
			report := irsa.Diagnose(ctx, pod.Options)
			assert.False(t, report.OK(), "after %v: %v", after, report)
			assert.NotContains(t, report.String(), "No check failed")
		})
	}
}

func TestDiagnoseDoesNotLeakGoroutines(t *testing.T) {
	k := newCluster(t, func(o *irsatest.Options) { o.Loopback = true })
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	require.True(t, irsa.Diagnose(t.Context(), pod.Options).OK())
	before := runtime.NumGoroutine()
	for range 5 {
		irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) { o.HTTPClient = nil })
	}
	// Eventually starts two goroutines, and each connection starts four.
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+2 }, time.Minute, 10*time.Millisecond)
}
