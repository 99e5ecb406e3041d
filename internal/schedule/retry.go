package schedule

import (
	"strconv"
	"time"
)

const (
	// Spacing is the minimum time between the starts of two attempts if the second was
	// requested by a token rotation, a view or a call.
	Spacing = time.Second

	// RejectionSpacing is the minimum time between two refreshes that start because a
	// service rejected the credentials.
	RejectionSpacing = time.Minute

	// lastAttempt is how long before the end of serving the last attempt starts.
	lastAttempt = 200 * time.Millisecond

	// Caps on the backoff. Jitter adds up to 25%.
	capEmpty     = 4 * time.Second  // no credentials to serve
	capPermanent = 24 * time.Second // no credentials to serve, and a retry cannot succeed without a configuration change
	capServing   = 48 * time.Second // valid credentials remain
)

// Backoff is the time between a failed attempt and the next one. There are two values
// because valid credentials can expire during a long backoff.
type Backoff struct {
	Serving time.Duration // while valid credentials remain
	Empty   time.Duration // while there are none
}

// RetryAfter returns the backoff after the given number of consecutive failures. remaining
// is how much longer the credentials are served, at least to some callers, or 0 if there
// are none. permanent means that the failure requires a configuration change rather than a
// retry. requested is the delay that the source requested; it lengthens the backoff up to
// its cap. The random number r, in [0, 1), spreads the attempts of many processes.
func RetryAfter(failures int, remaining time.Duration, permanent bool, requested time.Duration, r float64) Backoff {
	longest := capEmpty
	if permanent && remaining <= 0 {
		longest = capPermanent
	}
	return Backoff{Serving: serving(failures, remaining, requested, r), Empty: jitter(atLeast(requested, failures, longest), r)}
}

// atLeast returns the backoff after the given number of failures, or the requested delay
// if that is longer, but at most longest.
func atLeast(requested time.Duration, failures int, longest time.Duration) time.Duration {
	return max(backoff(failures, longest), min(requested, longest))
}

// serving returns the backoff while valid credentials remain. It is at most half of the
// remaining lifetime, to leave time for further attempts, but never shorter than the
// backoff without credentials. The last attempt starts just before the end of serving, so
// that an outage that is over by then does not affect callers.
func serving(failures int, remaining, requested time.Duration, r float64) time.Duration {
	least := jitter(backoff(failures, capEmpty), r)
	wait := max(min(jitter(atLeast(requested, failures, capServing), r), remaining/2), least)
	last, next := remaining-lastAttempt, jitter(backoff(failures+1, capEmpty), 1)
	if last >= least && wait+next > last {
		return last
	}
	return wait
}

// jitter lengthens d by up to 25%.
func jitter(d time.Duration, r float64) time.Duration {
	return spread(d, d+d/4, r)
}

// backoff returns the backoff after the given number of consecutive failures: 0.2, 1, 2,
// 4, 8 … seconds, but at most longest.
func backoff(failures int, longest time.Duration) time.Duration {
	if failures <= 1 {
		return 200 * time.Millisecond
	}
	d := time.Second
	for range failures - 2 {
		if d >= longest {
			break
		}
		d *= 2
	}
	return min(d, longest)
}

// ParseRetryAfter returns the delay in an X-Amz-Retry-After header, which is a number of
// milliseconds. The delay is capped at one hour, and is 0 if the header is missing or
// invalid.
func ParseRetryAfter(header string) time.Duration {
	ms, err := strconv.ParseInt(header, 10, 64)
	if err != nil || ms < 0 {
		return 0
	}
	return time.Duration(min(ms, int64(time.Hour/time.Millisecond))) * time.Millisecond
}
