package schedule_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/schedule"
)

const (
	year = 365 * 24 * time.Hour

	// draws is the number of random cases in each test.
	draws = 10_000

	// almostOne is the largest number that rand.Float64 returns.
	almostOne = 1 - 1.0/(1<<53)
)

// random returns a source of random numbers that are the same in every run.
func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// anyLifetime draws a lifetime from 1 s to 10 years. Its logarithm is uniformly distributed.
func anyLifetime(rnd *rand.Rand) time.Duration {
	return time.Duration(float64(time.Second) * math.Pow(float64(10*year/time.Second), rnd.Float64()))
}

// between draws from [from, to).
func between(rnd *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(rnd.Int64N(int64(to-from)))
}

func TestLifetimeIsMeasuredOnWallClock(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name    string
		expires time.Time
		want    time.Duration
	}{
		{"an hour", now.Add(time.Hour), time.Hour},
		{"over", now.Add(-time.Hour), -time.Hour},
		{"in the year 9999", time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), 100 * year},
		{"long over", time.Time{}, math.MinInt64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, schedule.Lifetime(noon, tt.expires))
		})
	}
}

func TestMarginIs80To100PercentOfTenSecondsOrOnePercent(t *testing.T) {
	for lifetime, want := range map[time.Duration]time.Duration{
		time.Second:        10 * time.Millisecond,
		15 * time.Minute:   9 * time.Second,
		1000 * time.Second: 10 * time.Second,
		time.Hour:          10 * time.Second,
		12 * time.Hour:     10 * time.Second,
		10 * year:          10 * time.Second,
	} {
		assert.Equal(t, want/5*4, schedule.Margin(lifetime, 0), lifetime)
		assert.InDelta(t, want/10*9, schedule.Margin(lifetime, 0.5), 1, lifetime)
		assert.InDelta(t, want, schedule.Margin(lifetime, almostOne), 1, lifetime)
	}
}

func TestRefreshAfterIs60To80PercentOfLifetime(t *testing.T) {
	const rounding = 20 // maximum rounding error of the divisions, in nanoseconds
	rnd := random()
	for range draws {
		lifetime := anyLifetime(rnd)
		for _, r := range []float64{0, rnd.Float64(), almostOne} {
			after := schedule.RefreshAfter(lifetime, 0, r)
			require.GreaterOrEqual(t, after, lifetime*6/10-rounding, "life %v, r %v", lifetime, r)
			require.Less(t, after, lifetime*8/10, "life %v, r %v", lifetime, r)
		}
	}
	for _, lifetime := range []time.Duration{time.Second, time.Minute, 15 * time.Minute, time.Hour, 12 * time.Hour, 10 * year} {
		assert.Equal(t, lifetime/10*6, schedule.RefreshAfter(lifetime, 0, 0))
		assert.Equal(t, lifetime/10*7, schedule.RefreshAfter(lifetime, 0, 0.5))
	}
}

func TestRefreshAfterSpreadsProcessesThatStartTogether(t *testing.T) {
	rnd := random()
	var tenths [10]int
	for range 1000 {
		after := schedule.RefreshAfter(time.Hour, 0, rnd.Float64())
		tenths[(after-36*time.Minute)/(72*time.Second)]++
	}
	for i, n := range tenths {
		assert.True(t, 50 <= n && n <= 150, "tenth %d holds %d", i, n)
	}
}

func TestRefreshAfterAlwaysLeavesMinTTL(t *testing.T) {
	rnd := random()
	for range draws {
		lifetime := anyLifetime(rnd)
		minTTL := between(rnd, 0, schedule.MaxMinTTL(lifetime)+1)
		served := lifetime - schedule.Margin(lifetime, 1)
		for _, r := range []float64{0, rnd.Float64(), almostOne} {
			after := schedule.RefreshAfter(lifetime, minTTL, r)
			require.Greater(t, served-after, minTTL, "life %v, minTTL %v, r %v", lifetime, minTTL, r)
			require.LessOrEqual(t, after, schedule.RefreshAfter(lifetime, 0, r), "life %v, minTTL %v, r %v", lifetime, minTTL, r)
			// There are at most four refreshes in a lifetime.
			require.Greater(t, after, lifetime/4, "life %v, minTTL %v, r %v", lifetime, minTTL, r)
		}
	}
}

func TestRefreshAfterIgnoresExcessiveMinTTL(t *testing.T) {
	rnd := random()
	for range draws {
		lifetime, r := anyLifetime(rnd), rnd.Float64()
		minTTL := between(rnd, schedule.MaxMinTTL(lifetime)+1, 2*lifetime)
		require.Equal(t, schedule.RefreshAfter(lifetime, 0, r), schedule.RefreshAfter(lifetime, minTTL, r))
	}
}

func TestRefreshAfterGrowsWithRandomNumber(t *testing.T) {
	rnd := random()
	for range draws {
		lifetime := anyLifetime(rnd)
		minTTL := between(rnd, 0, lifetime)
		a, b := rnd.Float64(), rnd.Float64()
		require.LessOrEqual(t, schedule.RefreshAfter(lifetime, minTTL, min(a, b)), schedule.RefreshAfter(lifetime, minTTL, max(a, b)))
	}
}

// exchange is one request to STS. Its times are on STS's clock.
type exchange struct {
	sent, answered, received time.Time
	expiration               time.Time
}

// seenAt returns the computed and the true expiry of the credentials on a local clock
// that is ahead of STS's by skew.
func (x exchange) seenAt(skew time.Duration) (got, truth time.Time) {
	date := x.answered.Truncate(time.Second) // the header has whole seconds
	response := schedule.Response{
		Expiration: x.expiration, Date: date, Received: x.received.Add(skew), RoundTrip: x.received.Sub(x.sent), Duration: 12 * time.Hour,
	}
	return response.Expiry(), x.expiration.Add(skew)
}

// uncertainty returns the width of the interval in which the skew cannot be determined.
func (x exchange) uncertainty() time.Duration { return time.Second + x.received.Sub(x.sent) }

func anyExchange(rnd *rand.Rand) exchange {
	sent := time.Unix(1767225600, rnd.Int64N(1e9))
	received := sent.Add(between(rnd, 0, 3*time.Second))
	answered := sent.Add(between(rnd, 0, received.Sub(sent)+1))
	return exchange{
		sent: sent, answered: answered, received: received,
		expiration: answered.Add(between(rnd, time.Second, 11*time.Hour)).Truncate(time.Second), // less than requested
	}
}

func TestExpiryWithoutSkewIsExpiration(t *testing.T) {
	rnd := random()
	for range draws {
		x := anyExchange(rnd)
		got, truth := x.seenAt(0)
		if x.received.Sub(x.sent) <= 2*time.Second {
			require.Equal(t, truth, got, "%+v", x)
		}
		require.False(t, got.After(truth), "%+v", x)
	}
}

func TestExpiryAfterSlowResponseIsNeverTooLate(t *testing.T) {
	rnd := random()
	for range draws {
		x := anyExchange(rnd)
		x.received = x.received.Add(between(rnd, 2*time.Second+1, 10*time.Second))
		skew := between(rnd, -2*x.uncertainty(), 2*x.uncertainty())
		got, truth := x.seenAt(skew)
		require.False(t, got.After(truth), "skew %v: %v too late: %+v", skew, got.Sub(truth), x)
		require.LessOrEqual(t, truth.Sub(got), x.uncertainty(), "skew %v: %+v", skew, x)
	}
}

func TestExpiryWithLargeSkewIsNeverTooLate(t *testing.T) {
	rnd := random()
	for range draws {
		x := anyExchange(rnd)
		skew := between(rnd, x.uncertainty(), 24*time.Hour)
		if rnd.IntN(2) == 0 {
			skew = between(rnd, x.uncertainty(), x.uncertainty()+time.Second) // only slightly more
		}
		if rnd.IntN(2) == 0 {
			skew = -skew
		}
		got, truth := x.seenAt(skew)
		require.False(t, got.After(truth), "skew %v: %v too late: %+v", skew, got.Sub(truth), x)
		require.LessOrEqual(t, truth.Sub(got), x.uncertainty(), "skew %v: %+v", skew, x)
	}
}

func TestExpiryWithSmallSkewIsWithinUncertainty(t *testing.T) {
	rnd := random()
	for range draws {
		x := anyExchange(rnd)
		skew := between(rnd, -x.uncertainty(), x.uncertainty()+1)
		got, truth := x.seenAt(skew)
		require.LessOrEqual(t, got.Sub(truth), x.uncertainty(), "skew %v: %+v", skew, x)
		require.LessOrEqual(t, truth.Sub(got), x.uncertainty(), "skew %v: %+v", skew, x)
		if skew >= 0 {
			require.False(t, got.After(truth), "a fast clock must not extend the lifetime: skew %v: %+v", skew, x)
		}
	}
}

func TestExpiryWithNodeClockTenMinutesOff(t *testing.T) {
	second := time.Unix(1767225600, 0)
	x := exchange{
		sent: second.Add(250 * time.Millisecond), answered: second.Add(300 * time.Millisecond),
		received: second.Add(350 * time.Millisecond), expiration: second.Add(15 * time.Minute),
	}
	for _, tt := range []struct {
		name string
		skew time.Duration
		want time.Duration // the expiry, relative to second on the local clock
	}{
		{"fast", 10 * time.Minute, 15*time.Minute - 750*time.Millisecond},
		{"slow", -10 * time.Minute, 15*time.Minute - 750*time.Millisecond},
		{"right", 0, 15 * time.Minute},
		{"half a second fast", 500 * time.Millisecond, 15*time.Minute - 500*time.Millisecond},
		{"half a second slow: it is corrected, since the header is never ahead", -500 * time.Millisecond, 15*time.Minute - 750*time.Millisecond},
		{"a quarter of a second slow: it need not be", -250 * time.Millisecond, 15*time.Minute + 250*time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := x.seenAt(tt.skew)
			assert.Equal(t, tt.want, got.Sub(second.Add(tt.skew)))
		})
	}
}

func TestExpiryOfShortLifetimeIsExact(t *testing.T) {
	for phase := time.Duration(0); phase < time.Second; phase += time.Millisecond {
		answered := time.Unix(1767225600, 0).Add(phase)
		x := exchange{sent: answered, answered: answered, received: answered, expiration: answered.Truncate(time.Second).Add(3 * time.Second)}
		got, truth := x.seenAt(0)
		require.Equal(t, truth, got)
	}
}
