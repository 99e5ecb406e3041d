package irsa_test

import (
	"io/fs"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func running(done <-chan struct{}) bool {
	select {
	case <-done:
		return false
	default:
		return true
	}
}

func TestProviderSurvivesTokenRewrites(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hours := testsize.Choose(2, 12, 12)
		k, pod := newPod(t)
		k.STS.SetLifetime(15 * time.Minute)
		p := newProvider(t, pod.Options)
		retrieve(t, p)
		done := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for running(done) {
				token := []byte(pod.Token())
				pod.WriteInPlace(nil)
				time.Sleep(7 * time.Second)
				pod.WriteInPlace(token[:len(token)/2])
				time.Sleep(5 * time.Second)
				pod.WriteInPlace(token[:len(token)-10]) // still looks like a JWT
				time.Sleep(3 * time.Second)
				pod.WriteInPlace(token)
				time.Sleep(2 * time.Second)
			}
		})
		for range hours * 60 * 60 {
			start := time.Now()
			retrieve(t, p)
			require.Zero(t, time.Since(start))
			time.Sleep(time.Second)
		}
		close(done)
		wg.Wait()
		assert.Greater(t, k.STS.CallCount(), 5*hours)
	})
}

func TestProviderRecoversWithin3SecondsOfTokenReplacement(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		fail   func(*irsatest.Pod)
		kind   error
		repair func(*irsatest.Pod)
	}{
		{"an expired token", func(p *irsatest.Pod) { p.Rotate(irsatest.Invalid("expired")) }, irsa.ErrTokenExpired, func(p *irsatest.Pod) { p.Rotate() }},
		{"a missing file", (*irsatest.Pod).RemoveToken, irsa.ErrTokenFile, func(p *irsatest.Pod) { p.Rotate() }},
		{"an empty file", func(p *irsatest.Pod) { p.WriteInPlace(nil) }, irsa.ErrTokenFile, func(p *irsatest.Pod) { p.Rotate() }},
	} {
		long := time.Duration(testsize.Choose(20, 90, 90)) * time.Minute
		for _, broken := range []time.Duration{0, 1700 * time.Millisecond, time.Minute, long} {
			t.Run(tt.name+" after "+broken.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					_, pod := newPod(t)
					tt.fail(pod)
					p := newProvider(t, pod.Options)
					for start := time.Now(); time.Since(start) <= broken; time.Sleep(max(200*time.Millisecond, broken/time.Duration(testsize.Choose(300, 3000, 27000)))) {
						_, err := p.Retrieve(t.Context())
						require.ErrorIs(t, err, tt.kind)
					}
					tt.repair(pod)
					start := time.Now()
					for {
						_, err := p.Retrieve(t.Context())
						if err == nil {
							break
						}
						require.ErrorIs(t, err, tt.kind)
						time.Sleep(50 * time.Millisecond)
					}
					assert.LessOrEqual(t, time.Since(start), 3*time.Second)
				})
			})
		}
	}
}

func TestProviderRetriesWithinTwoSecondsOfRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p := newProvider(t, pod.Options)
		retrieve(t, p)
		time.Sleep(10*time.Minute + 300*time.Millisecond) // the watch polls once a minute
		pod.Rotate(irsatest.Invalid("expired"))
		require.ErrorIs(t, p.Refresh(t.Context()), irsa.ErrTokenExpired)
		for range 20 {
			time.Sleep(20 * time.Second) // until the backoff is long
		}
		calls := k.STS.CallCount()
		pod.Rotate()
		time.Sleep(2 * time.Second)
		assert.Equal(t, calls+1, k.STS.CallCount())
		assert.Zero(t, p.Status().Failures)
		pod.Rotate(irsatest.Invalid("expired")) // again, at the start of a failure
		require.ErrorIs(t, p.Refresh(t.Context()), irsa.ErrTokenExpired)
		time.Sleep(9 * time.Second) // between the attempts after 7.2 and 15.2 seconds
		pod.Rotate()
		time.Sleep(2 * time.Second)
		assert.Zero(t, p.Status().Failures)
	})
}

func TestProviderUsesCurrentTokenForEachExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p := newProvider(t, pod.Options)
		var fingerprints []string
		for range 10 {
			require.NoError(t, p.Refresh(t.Context()))
			calls := k.STS.Calls()
			fingerprints = append(fingerprints, calls[len(calls)-1].TokenFingerprint)
			pod.Rotate()
		}
		for i := range fingerprints[1:] {
			assert.NotEqual(t, fingerprints[i], fingerprints[i+1])
		}
	})
}

func TestProviderRetriesTokenReplacedDuringExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		pod.Rotate(irsatest.Invalid("expired"))
		k.STS.SetLatency(2 * time.Second)
		p := newProvider(t, pod.Options)
		time.AfterFunc(time.Second, func() { pod.Rotate() })
		start := time.Now()
		retrieve(t, p)
		assert.Equal(t, 4*time.Second, time.Since(start))
		assert.Equal(t, 2, k.STS.CallCount())
		assert.Zero(t, p.Status().Failures)
	})
}

func TestProviderRotationDoesNotStartExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		var seen recorder
		p := newProvider(t, pod.Options, seen.options)
		retrieve(t, p)
		time.Sleep(time.Second)
		pod.Rotate(func(o *irsatest.TokenOptions) { o.Lifetime = 12 * time.Hour })
		time.Sleep(time.Minute)
		assert.Equal(t, 1, seen.count(irsa.EventTokenRotated))
		assert.Contains(t, seen.log(), `level=DEBUG msg="web identity token rotated" role=`+pod.RoleARN())
		assert.Equal(t, 1, k.STS.CallCount())
	})
}

func TestProviderExchangesTokenOfAnotherIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCluster(t)
		cart, till := k.ServiceAccount("shop", "cart"), k.ServiceAccount("shop", "till")
		role := k.Role("s3-writer", irsatest.Trust(cart, till))
		pod := k.Pod(cart, role)
		p := newProvider(t, pod.Options)
		retrieve(t, p)
		time.Sleep(time.Second)
		pod.Write([]byte(k.Pod(till, role).Token()))
		time.Sleep(time.Minute)
		calls := k.STS.Calls()
		require.Len(t, calls, 2)
		assert.Equal(t, "system:serviceaccount:shop:till", calls[1].Subject)
	})
}

func TestProviderSurvivesMissingTokenFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod := newPod(t)
		p := newProvider(t, pod.Options)
		retrieve(t, p)
		pod.RemoveToken()
		time.Sleep(55 * time.Minute)
		retrieve(t, p)
		status := p.Status()
		assert.ErrorIs(t, status.Err, irsa.ErrTokenFile)
		assert.ErrorIs(t, status.Err, fs.ErrNotExist)
		pod.Rotate()
		time.Sleep(3 * time.Second)
		assert.Zero(t, p.Status().Failures)
	})
}

func TestProviderRetriesNextTokenAfterRejectedIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCluster(t)
		cart, stranger := k.ServiceAccount("shop", "cart"), k.ServiceAccount("shop", "stranger")
		role := k.Role("s3-writer", irsatest.Trust(cart))
		pod := k.Pod(cart, role)
		p := newProvider(t, pod.Options)
		retrieve(t, p)
		time.Sleep(time.Second)
		good := pod.Token()
		pod.Write([]byte(k.Pod(stranger, role).Token()))
		time.Sleep(3 * time.Minute) // until it has been rejected and the backoff is long
		require.ErrorIs(t, p.Status().Err, irsa.ErrAccessDenied)
		pod.Write([]byte(good))
		time.Sleep(2 * time.Second)
		assert.Zero(t, p.Status().Failures)
	})
}

func TestProviderRetriesWhenSameTokenReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod := newPod(t)
		var seen recorder
		p := newProvider(t, pod.Options, seen.options)
		retrieve(t, p)
		token := pod.Token()
		pod.RemoveToken()
		time.Sleep(55 * time.Minute)
		require.ErrorIs(t, p.Status().Err, irsa.ErrTokenFile)
		pod.Write([]byte(token))
		time.Sleep(2 * time.Second)
		assert.Zero(t, p.Status().Failures)
		assert.Zero(t, seen.count(irsa.EventTokenRotated))
	})
}
