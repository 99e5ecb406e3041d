package schedule_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/schedule"
)

func TestRetryAfterBackoff(t *testing.T) {
	for _, tt := range []struct {
		name      string
		remaining time.Duration
		permanent bool
		serving   []float64 // in seconds, after one failure, after two …, without jitter
		empty     []float64
	}{
		{"without credentials", 0, false, []float64{0.2, 1, 2, 4, 4, 4}, []float64{0.2, 1, 2, 4, 4, 4}},
		{"without credentials, permanent failure", 0, true, []float64{0.2, 1, 2, 4, 4, 4}, []float64{0.2, 1, 2, 4, 8, 16, 24, 24, 24}},
		{"with expired credentials, permanent failure", -time.Hour, true, []float64{0.2, 1, 2, 4, 4, 4}, []float64{0.2, 1, 2, 4, 8, 16, 24, 24, 24}},
		{"with valid credentials", time.Hour, false, []float64{0.2, 1, 2, 4, 8, 16, 32, 48, 48, 48}, []float64{0.2, 1, 2, 4, 4, 4, 4, 4, 4, 4}},
		{"with valid credentials, permanent failure", time.Hour, true, []float64{0.2, 1, 2, 4, 8, 16, 32, 48, 48, 48}, []float64{0.2, 1, 2, 4, 4, 4, 4, 4, 4, 4}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i := range max(len(tt.serving), len(tt.empty)) {
				shortest := schedule.RetryAfter(i+1, tt.remaining, tt.permanent, 0, 0)
				middle := schedule.RetryAfter(i+1, tt.remaining, tt.permanent, 0, 0.5)
				longest := schedule.RetryAfter(i+1, tt.remaining, tt.permanent, 0, almostOne)
				check := func(want float64, shortest, middle, longest time.Duration) {
					assert.InDelta(t, want, shortest.Seconds(), 1e-9, "after %d failures", i+1)
					assert.InDelta(t, want*1.125, middle.Seconds(), 1e-9, "after %d failures", i+1)
					assert.InDelta(t, want*1.25, longest.Seconds(), 1e-8, "after %d failures", i+1)
					assert.Less(t, longest.Seconds(), want*1.25, "after %d failures", i+1)
				}
				if i < len(tt.serving) {
					check(tt.serving[i], shortest.Serving, middle.Serving, longest.Serving)
				}
				if i < len(tt.empty) {
					check(tt.empty[i], shortest.Empty, middle.Empty, longest.Empty)
				}
			}
		})
	}
}

func TestRetryAfterConsidersRemainingLifetime(t *testing.T) {
	for _, tt := range []struct {
		name      string
		failures  int
		remaining time.Duration
		want      time.Duration
	}{
		{"an hour remains", 20, time.Hour, 48 * time.Second},
		{"twice the backoff remains", 20, 96 * time.Second, 48 * time.Second},
		{"a minute remains: half of it", 20, time.Minute, 30 * time.Second},
		{"time for two more attempts", 20, 12 * time.Second, 6 * time.Second},
		{"time for one more attempt: just before the end", 20, 9 * time.Second, 9*time.Second - lastAttempt},
		{"just enough time for one", 20, 4*time.Second + lastAttempt, 4 * time.Second},
		{"no time for another", 20, 4 * time.Second, 4 * time.Second},
		{"a tenth of a second remains", 20, 100 * time.Millisecond, 4 * time.Second},
		{"ten seconds remain after one failure", 1, 10 * time.Second, 200 * time.Millisecond},
		{"two seconds remain after one failure", 1, 2 * time.Second, 200 * time.Millisecond},
		{"a second remains after one failure", 1, time.Second, time.Second - lastAttempt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, schedule.RetryAfter(tt.failures, tt.remaining, false, 0, 0).Serving)
		})
	}
}

func TestRetryAfterBounds(t *testing.T) {
	rnd := random()
	for range draws {
		failures := 1 + rnd.IntN(20)
		remaining := between(rnd, -time.Minute, 10*time.Minute)
		permanent := rnd.IntN(2) == 0
		r := rnd.Float64()
		wait := schedule.RetryAfter(failures, remaining, permanent, 0, r)
		empty := schedule.RetryAfter(failures, 0, false, 0, r).Empty
		if wait.Serving > remaining/2 && wait.Serving != remaining-lastAttempt {
			require.Equal(t, empty, wait.Serving, "%d failures, %v left", failures, remaining)
		}
		require.GreaterOrEqual(t, wait.Serving, empty)
		require.Less(t, wait.Serving, 60*time.Second)
		require.GreaterOrEqual(t, wait.Empty, 200*time.Millisecond)
		if permanent && remaining <= 0 {
			require.Less(t, wait.Empty, 30*time.Second)
		} else {
			require.Less(t, wait.Empty, 5*time.Second)
		}
		more := schedule.RetryAfter(failures+1, remaining, permanent, 0, r)
		require.GreaterOrEqual(t, more.Serving, wait.Serving, "the waits do not shrink")
		require.GreaterOrEqual(t, more.Empty, wait.Empty, "the waits do not shrink")
		longer := schedule.RetryAfter(failures, remaining, permanent, 0, r+(1-r)*0.5)
		require.GreaterOrEqual(t, longer.Serving, wait.Serving, "the waits grow with the random number")
		require.GreaterOrEqual(t, longer.Empty, wait.Empty, "the waits grow with the random number")
	}
}

// lastAttempt is how long before the end of serving the last attempt starts.
const lastAttempt = 200 * time.Millisecond

func TestRetryAfterSchedulesLastAttemptBeforeExpiry(t *testing.T) {
	rnd := random()
	for range draws / 10 {
		remaining := between(rnd, 30*time.Second, time.Hour)
		attempts := 0
		for failures := 1; ; failures++ {
			wait := schedule.RetryAfter(failures, remaining, false, 0, rnd.Float64()).Serving
			if wait >= remaining {
				break
			}
			remaining -= wait
			attempts++
		}
		require.Equal(t, lastAttempt, remaining, "after %d attempts", attempts)
	}
}

func TestRetryAfterAcceptsAnyNumberOfFailures(t *testing.T) {
	for _, failures := range []int{math.MinInt, -1, 0, 1} {
		assert.Equal(t, 200*time.Millisecond, schedule.RetryAfter(failures, 0, false, 0, 0).Empty)
	}
	endless := schedule.RetryAfter(math.MaxInt, 10*year, true, 0, 0)
	assert.Equal(t, schedule.Backoff{Serving: 48 * time.Second, Empty: 4 * time.Second}, endless)
}

func TestRetryAfterHonorsRequestedDelay(t *testing.T) {
	for _, tt := range []struct {
		name           string
		failures       int
		remaining      time.Duration
		permanent      bool
		requested      time.Duration
		serving, empty time.Duration
	}{
		{"nothing", 1, time.Hour, false, 0, 200 * time.Millisecond, 200 * time.Millisecond},
		{"less than the backoff", 5, time.Hour, false, time.Second, 8 * time.Second, 4 * time.Second},
		{"more", 1, time.Hour, false, 3 * time.Second, 3 * time.Second, 3 * time.Second},
		{"more than the longest wait", 1, time.Hour, false, 10 * time.Minute, 48 * time.Second, 4 * time.Second},
		{"the longest duration", 1, time.Hour, false, math.MaxInt64, 48 * time.Second, 4 * time.Second},
		{"more than half of the remaining lifetime", 1, 20 * time.Second, false, 30 * time.Second, 10 * time.Second, 4 * time.Second},
		{"permanent failure without credentials", 1, 0, true, 10 * time.Minute, 200 * time.Millisecond, 24 * time.Second},
		{"a negative duration", 1, time.Hour, false, -time.Hour, 200 * time.Millisecond, 200 * time.Millisecond},
	} {
		wait := schedule.RetryAfter(tt.failures, tt.remaining, tt.permanent, tt.requested, 0)
		assert.Equal(t, tt.serving, wait.Serving, tt.name)
		assert.Equal(t, tt.empty, wait.Empty, tt.name)
	}
	wait := schedule.RetryAfter(1, time.Hour, false, 10*time.Second, almostOne)
	assert.InDelta(t, 12.5, wait.Serving.Seconds(), 1e-6, "processes with the same requested delay retry at different times")
}

func TestParseRetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 0, "1500": 1500 * time.Millisecond, "0": 0, "-1": 0, "1.5": 0, "soon": 0,
		"99999999999999": time.Hour, "99999999999999999999": 0,
	} {
		assert.Equal(t, want, schedule.ParseRetryAfter(header), header)
	}
}
