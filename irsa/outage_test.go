package irsa_test

import (
	"context"
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

func TestProviderServesWithoutWaitingDuringOutages(t *testing.T) {
	t.Parallel()
	for _, outage := range outages {
		t.Run("ten minutes of every hour "+outage.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				k.STS.SetLatency(300 * time.Millisecond)
				p := newProvider(t, pod.Options)
				retrieve(t, p)
				hours := testsize.Choose(4, 24, 24)
				ends := map[string]time.Time{} // the latest expiry of each access key
				for second := range hours * 60 * 60 {
					switch second % 3600 {
					case 30 * 60:
						outage.begin(k.STS)
					case 40 * 60:
						k.STS.Recover()
					}
					start := time.Now()
					creds, err := p.Retrieve(t.Context())
					require.NoError(t, err)
					require.Zero(t, time.Since(start), "a caller waited")
					if ends[creds.AccessKeyID].IsZero() {
						ends[creds.AccessKeyID] = start.Add(time.Hour)
					}
					require.True(t, creds.Expires.After(start) && ends[creds.AccessKeyID].After(start), "expired")
					time.Sleep(time.Second)
				}
				assert.GreaterOrEqual(t, len(ends), hours*5/4, "each lasts 60 to 80% of an hour")
			})
		})
	}
}

func TestProviderReportsOutages(t *testing.T) {
	t.Parallel()
	for _, outage := range outages {
		t.Run(outage.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				var seen recorder
				p := newProvider(t, pod.Options, seen.options)
				retrieve(t, p)
				outage.begin(k.STS)
				time.Sleep(50 * time.Minute)
				status := p.Status()
				assert.Greater(t, status.Failures, 5)
				assert.Error(t, status.Err)
				assert.False(t, status.NextAttempt.IsZero() && outage.limit == 0)
				assert.Greater(t, seen.count(irsa.EventRefreshFailed), 5)
				assert.Contains(t, seen.log(), `level=WARN msg="credentials refresh failed" role=`+pod.RoleARN())
				retrieve(t, p)
				k.STS.Recover()
				time.Sleep(5 * time.Minute)
				assert.Zero(t, p.Status().Failures)
				assert.Contains(t, seen.log(), `level=INFO msg="credentials refresh recovered"`)
			})
		})
	}
}

func TestProviderFirstRetrieveSurvivesOneResetAndOne503(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p := newProvider(t, pod.Options)
		k.STS.Fail(irsatest.Reset, 1)
		time.AfterFunc(100*time.Millisecond, func() { k.STS.Fail(irsatest.Unavailable, 1) })
		start := time.Now()
		retrieve(t, p)
		assert.Less(t, time.Since(start), 2*time.Second)
		assert.Equal(t, 3, k.STS.CallCount())
	})
}

func TestProviderBoundsCallsInLongOutageAndRecovers(t *testing.T) {
	t.Parallel()
	for _, outage := range outages {
		t.Run(outage.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				k.STS.SetLifetime(15 * time.Minute)
				p := newProvider(t, pod.Options)
				served := retrieve(t, p).Expires
				outage.begin(k.STS)
				began := time.Now()

				ctx, cancel := context.WithCancel(t.Context())
				var (
					wg   sync.WaitGroup
					mu   sync.Mutex
					errs []time.Time
				)
				for caller := range testsize.Choose(100, 1_000, 1_000) {
					wg.Go(func() {
						time.Sleep(14*time.Minute + time.Duration(caller)*time.Millisecond)
						for ctx.Err() == nil {
							if _, err := p.Retrieve(ctx); err != nil && ctx.Err() == nil {
								mu.Lock()
								errs = append(errs, time.Now())
								mu.Unlock()
							}
							time.Sleep(time.Second)
						}
					})
				}
				time.Sleep(time.Until(served) + 2*time.Minute)
				calls := k.STS.Calls()
				k.STS.Recover()
				recovered := time.Now()
				time.Sleep(time.Minute)
				cancel()
				wg.Wait()

				require.NotEmpty(t, errs)
				assert.False(t, errs[0].Before(served), "an error despite valid credentials")
				assert.LessOrEqual(t, errs[len(errs)-1].Sub(recovered), outage.limit+6*time.Second)
				requireCalm(t, calls, began)
			})
		})
	}
}

// requireCalm checks that there are at most five calls in the first ten seconds, and at most one call
// every four seconds after that.
func requireCalm(t *testing.T, calls []irsatest.Call, began time.Time) {
	t.Helper()
	var times []time.Time
	for _, call := range calls {
		if call.Time.After(began) {
			times = append(times, call.Time)
		}
	}
	require.NotEmpty(t, times)
	for i, at := range times {
		switch since := at.Sub(times[0]); {
		case since < 10*time.Second:
			require.Less(t, i, 5)
		default:
			require.GreaterOrEqual(t, at.Sub(times[i-1]), 4*time.Second)
		}
	}
}

func TestProviderTimesOutHungSTS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p := newProvider(t, pod.Options)
		k.STS.Fail(irsatest.Hang, 1)
		start := time.Now()
		require.NoError(t, p.WaitReady(t.Context()))
		assert.InDelta(t, 10.2, time.Since(start).Seconds(), 0.2)
	})
}

func TestProviderContextAffectsOnlyItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		k.STS.SetLatency(5 * time.Second)
		p := newProvider(t, pod.Options)
		first, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := p.Retrieve(first)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(start))
		})
		synctest.Wait()
		for range 1000 {
			wg.Go(func() {
				_, err := p.Retrieve(t.Context())
				assert.NoError(t, err)
				assert.Equal(t, 5*time.Second, time.Since(start))
			})
		}
		wg.Wait()
		assert.Equal(t, 1, k.STS.CallCount())
	})
}

func TestProviderInvalidateDuringBackoffRetriesWithinSixSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p := newProvider(t, pod.Options)
		creds := retrieve(t, p)
		k.STS.Fail(irsatest.Unavailable, -1)
		time.Sleep(50 * time.Minute) // until the backoff reaches a minute
		p.Invalidate(creds)
		end := time.Now()
		for range 60 {
			_, err := p.Retrieve(t.Context())
			require.Error(t, err)
			time.Sleep(time.Second)
		}
		var next time.Duration
		for _, call := range k.STS.Calls() {
			if next = call.Time.Sub(end); next >= 0 {
				break
			}
		}
		assert.LessOrEqual(t, next, 6*time.Second)
	})
}
