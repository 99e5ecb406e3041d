package irsa_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestProviderExpiryFollowsSTSClock(t *testing.T) {
	for _, tt := range []struct {
		name string
		skew time.Duration // STS's clock relative to the node's
	}{
		{"the node's clock is 10 minutes fast", -10 * time.Minute},
		{"the node's clock is 10 minutes slow", 10 * time.Minute},
		{"the node's clock is right", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				pod.Rotate(func(o *irsatest.TokenOptions) { o.Lifetime = 24 * time.Hour })
				time.Sleep(time.Hour) // so that the token is old enough for any clock
				k.STS.SetLifetime(20 * time.Minute)
				k.STS.SetClockSkew(tt.skew)
				p := newProvider(t, pod.Options)
				end := time.Now().Add(20 * time.Minute)
				creds := retrieve(t, p)
				assert.False(t, creds.Expires.After(end.Add(-8*time.Second)), "served past the expiry")
				assert.WithinDuration(t, end, creds.Expires, 14*time.Second)
				time.Sleep(11 * time.Minute)
				assert.Equal(t, 1, k.STS.CallCount(), "refreshed before 60% of the lifetime")
				time.Sleep(6 * time.Minute)
				assert.Equal(t, 2, k.STS.CallCount(), "not refreshed by 80% of the lifetime")
			})
		})
	}
}

func TestProviderExpiryAllowsForWholeSecondsOfDate(t *testing.T) {
	for _, lifetime := range []time.Duration{2 * time.Second, 3500 * time.Millisecond, 5 * time.Second} {
		for phase := time.Duration(0); phase < time.Second; phase += 330 * time.Millisecond {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				k.STS.SetLifetime(lifetime)
				k.STS.SetLatency(70 * time.Millisecond)
				time.Sleep(phase)
				p := newProvider(t, pod.Options)
				creds := retrieve(t, p)
				// The lifetime started before the response was received.
				assert.False(t, creds.Expires.After(time.Now().Add(lifetime-lifetime/125)), "lifetime %v, phase %v", lifetime, phase)
				assert.Greater(t, time.Until(creds.Expires), lifetime/2, "lifetime %v, phase %v", lifetime, phase)
			})
		}
	}
}

func TestProviderRefreshesAfter60To80PercentOfLifetime(t *testing.T) {
	t.Parallel()
	for _, lifetime := range []time.Duration{15 * time.Minute, time.Hour, 12 * time.Hour} {
		t.Run(lifetime.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newCluster(t)
				sa := k.ServiceAccount("shop", "cart")
				pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa), irsatest.MaxSessionDuration(12*time.Hour)))
				p := newProvider(t, pod.Options, func(o *irsa.Options) { o.Duration = lifetime })
				retrieve(t, p)
				lifetimes := testsize.Choose(8, 20, 20)
				for range lifetimes {
					time.Sleep(lifetime) // without callers
					pod.Rotate()
				}
				calls := k.STS.Calls()
				require.Greater(t, len(calls), lifetimes)
				for i := range calls[1:] {
					pause := calls[i+1].Time.Sub(calls[i].Time)
					assert.GreaterOrEqual(t, pause, (lifetime-time.Second)/10*6, "STS's expiry has whole seconds")
					assert.Less(t, pause, lifetime/10*8)
				}
			})
		})
	}
}

func TestProviderRefreshesAreSpreadAfterCommonStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const lifetime = time.Hour
		providers := testsize.Choose(300, 1000, 1000)
		k, pod := newPod(t)
		start := time.Now()
		for range providers {
			retrieve(t, newProvider(t, pod.Options, func(o *irsa.Options) {
				o.TokenFile, o.Token = "", tokens(pod.Token()) // avoids a thousand watches
			}))
		}
		require.Equal(t, start, time.Now(), "all at the same instant")
		time.Sleep(lifetime / 10 * 8)
		var tenths [10]int
		for _, call := range k.STS.Calls()[providers:] {
			into := call.Time.Sub(start) - lifetime/10*6
			tenths[min(into*10/(lifetime/10*2), 9)]++
		}
		for i, n := range tenths {
			mean := float64(providers) / 10
			assert.InDelta(t, mean, n, 5*math.Sqrt(mean), "refreshes in tenth %d of the window", i+1)
		}
	})
}
