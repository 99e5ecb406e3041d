package irsa_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// gaps returns the intervals between the calls that STS received.
func gaps(s *irsatest.STS) []time.Duration {
	var out []time.Duration
	calls := s.Calls()
	for i := 1; i < len(calls); i++ {
		out = append(out, calls[i].Time.Sub(calls[i-1].Time))
	}
	return out
}

// callEvery calls Retrieve repeatedly, ignoring errors.
func callEvery(t *testing.T, p *irsa.Provider, pause, during time.Duration) {
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(pause) {
		_, _ = p.Retrieve(t.Context())
	}
}

func TestProviderBacksOffTo30SecondsAfterConfigurationErrors(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]func(*irsatest.Cluster, *irsatest.Pod, *irsa.Options){
		"role without a trust policy": func(k *irsatest.Cluster, _ *irsatest.Pod, _ *irsa.Options) { k.Role("s3-writer") },
		"no OIDC provider": func(k *irsatest.Cluster, _ *irsatest.Pod, _ *irsa.Options) {
			k.UnregisterIssuer("111122223333", k.Issuer)
		},
		"another audience": func(_ *irsatest.Cluster, pod *irsatest.Pod, _ *irsa.Options) {
			pod.Rotate(irsatest.Claim("aud", "vault"))
		},
		"another thumbprint":           func(k *irsatest.Cluster, _ *irsatest.Pod, _ *irsa.Options) { k.STS.Fail(irsatest.Thumbprint, -1) },
		"a longer session than it may": func(_ *irsatest.Cluster, _ *irsatest.Pod, o *irsa.Options) { o.Duration = 2 * time.Hour },
		"a region without STS":         func(k *irsatest.Cluster, _ *irsatest.Pod, _ *irsa.Options) { k.STS.Fail(irsatest.RegionDisabled, -1) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				p := newProvider(t, pod.Options, func(o *irsa.Options) { breaks(k, pod, o) })
				step := time.Duration(testsize.Choose(50, 10, 10)) * time.Millisecond // between calls
				callEvery(t, p, step, 5*time.Minute)
				waits := gaps(k.STS)
				require.GreaterOrEqual(t, len(waits), 10)
				for i, wait := range waits {
					want := min(time.Second<<max(i-1, 0), 24*time.Second)
					if i == 0 {
						want = 200 * time.Millisecond
					}
					assert.GreaterOrEqual(t, wait, want, i)
					assert.LessOrEqual(t, wait, want*5/4+step, i)
				}
			})
		})
	}
}

func TestProviderRetriesIfSTSCannotFetchKey(t *testing.T) {
	t.Parallel()
	for _, fault := range []irsatest.Fault{irsatest.VerificationKey, irsatest.IDPCommunicationError} {
		t.Run(string(fault)+" at the start", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				k.STS.Fail(fault, -1)
				p := newProvider(t, pod.Options)
				callEvery(t, p, 100*time.Millisecond, 10*time.Minute)
				for i, wait := range gaps(k.STS) {
					assert.LessOrEqual(t, wait, 5*time.Second+100*time.Millisecond, i)
					assert.True(t, i < 3 || wait >= 4*time.Second, "%v", wait)
				}
				k.STS.Recover()
				start := time.Now()
				require.NoError(t, p.WaitReady(t.Context()))
				assert.LessOrEqual(t, time.Since(start), 5*time.Second)
			})
		})
		t.Run(string(fault)+" for 10 minutes at a refresh", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				p := newProvider(t, pod.Options)
				first := retrieve(t, p)
				k.STS.Fail(fault, -1)
				time.Sleep(48 * time.Minute) // until the refresh has started
				callEvery(t, p, 100*time.Millisecond, 10*time.Minute)
				tries := len(gaps(k.STS))
				assert.GreaterOrEqual(t, tries, 10)
				assert.LessOrEqual(t, tries, 40)
				k.STS.Recover()
				time.Sleep(time.Minute)
				assert.NotEqual(t, first.AccessKeyID, retrieve(t, p).AccessKeyID)
			})
		})
	}
}

func TestProviderRetriesWithin3SecondsOfTokenChange(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]func(*irsatest.Pod){
		"expired":             func(pod *irsatest.Pod) { pod.Rotate(irsatest.Invalid("expired")) },
		"for another service": func(pod *irsatest.Pod) { pod.Rotate(irsatest.Claim("aud", "vault")) },
		"badly signed":        func(pod *irsatest.Pod) { pod.Rotate(irsatest.Invalid("bad signature")) },
		"of another issuer":   func(pod *irsatest.Pod) { pod.Rotate(irsatest.Invalid("other issuer")) },
		"of an unknown key":   func(pod *irsatest.Pod) { pod.Rotate(irsatest.Invalid("unknown key")) },
		"empty":               func(pod *irsatest.Pod) { pod.Truncate(0) },
		"missing":             (*irsatest.Pod).RemoveToken,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				breaks(pod)
				p := newProvider(t, pod.Options)
				callEvery(t, p, time.Second, 5*time.Minute) // until the backoff is at its maximum
				k.STS.ForgetCalls()
				pod.Rotate()
				changed := time.Now()
				callEvery(t, p, 10*time.Millisecond, 3*time.Second)
				calls := k.STS.Calls()
				require.NotEmpty(t, calls)
				last := calls[len(calls)-1]
				assert.Empty(t, last.Err)
				assert.LessOrEqual(t, last.Time.Sub(changed), 3*time.Second)
				retrieve(t, p)
			})
		})
	}
}

func TestProviderHonorsRetryAfterOfThrottledResponses(t *testing.T) {
	for header, least := range map[string]time.Duration{"": 200 * time.Millisecond, "3000": 3 * time.Second, "3600000": 4 * time.Second, "soon": 200 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			_, pod := newPod(t)
			var calls []time.Time
			p := newProvider(t, pod.Options, func(o *irsa.Options) {
				o.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
					calls = append(calls, time.Now())
					w := httptest.NewRecorder()
					w.Header().Set("X-Amz-Retry-After", header)
					w.WriteHeader(http.StatusTooManyRequests)
					_, _ = w.WriteString(errorXML("Throttling", "Rate exceeded"))
					return w.Result(), nil
				})}
			})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			require.Error(t, p.WaitReady(ctx))
			require.Greater(t, len(calls), 3)
			assert.GreaterOrEqual(t, calls[1].Sub(calls[0]), least, header)
			assert.Less(t, calls[1].Sub(calls[0]), least*5/4, header)
		})
	}
}
