package schedule

import "time"

// MinLifetime is the minimum lifetime of usable credentials. It also bounds the rate of
// attempts for a source that always succeeds.
const MinLifetime = time.Second

// maxLifetime caps lifetimes, so that later computations with a Duration do not overflow. It
// exceeds the time since 1970. Otherwise, a capped lifetime could end when a machine without
// a hardware clock, which starts in 1970, sets its wall clock.
const maxLifetime = 100 * 365 * 24 * time.Hour

// Lifetime returns the remaining lifetime, at now, of credentials that expire at expires.
func Lifetime(now Moment, expires time.Time) time.Duration {
	return min(expires.Sub(time.Unix(0, now.Wall)), maxLifetime)
}

// Margin returns how long before expiry credentials stop being served, so that a request
// signed with them still arrives in time. The margin is 80% to 100% of 10 s or of 1% of
// the lifetime, whichever is less. The random number r, in [0, 1), makes the margin
// differ between processes.
func Margin(lifetime time.Duration, r float64) time.Duration {
	longest := min(10*time.Second, lifetime/100)
	return spread(longest/5*4, longest, r)
}

// MaxMinTTL returns the maximum MinTTL for credentials with the given lifetime, which is
// 60% of it. A longer MinTTL would be satisfied only briefly after each refresh, so
// refreshes would be almost continuous.
func MaxMinTTL(lifetime time.Duration) time.Duration {
	return lifetime / 10 * 6
}

// RefreshAfter returns how long after receipt to refresh credentials with the given
// lifetime, so that at least minTTL of it always remains. The result is 60% to 80% of the
// lifetime, or 67.5% to 90% of lifetime - minTTL if that ends earlier. The random number r,
// in [0, 1), spreads the refreshes of processes that started together.
func RefreshAfter(lifetime, minTTL time.Duration, r float64) time.Duration {
	end := lifetime / 10 * 8
	if minTTL <= MaxMinTTL(lifetime) {
		end = min(end, (lifetime-minTTL)/10*9) // the serving margin is less than the remaining tenth
	}
	return spread(end/4*3, end, r)
}

// RepeatedAfter returns the time until the next attempt after the source returned the same
// credentials again. left is the time until their end. Attempts are made each time half of the
// remaining time has passed, but at most once a second, and the last one is made at the end.
func RepeatedAfter(left time.Duration) time.Duration {
	wait := max(left/2, time.Second)
	if left-wait < 2*time.Second { // too short for another attempt before the end
		return max(left, time.Second)
	}
	return wait
}

const (
	// DateTolerance is the maximum difference between Expiration - Date and the lifetime
	// granted. Both have a resolution of one second, and STS does not read its clock for
	// both at once.
	DateTolerance = 2 * time.Second

	// prompt is the longest round trip after which Expiry leaves a small skew to the serving
	// margin.
	prompt = 2 * time.Second

	// maxDuration is the longest lifetime that STS grants.
	maxDuration = 12 * time.Hour
)

// Response describes a successful response from STS. It contains only one reading of the
// local wall clock, because two would differ by more than the round trip if the clock was
// stepped in between.
type Response struct {
	Expiration time.Time     // the expiry of the credentials, on STS's clock
	Date       time.Time     // the time of the response, on STS's clock; zero if unknown
	Received   time.Time     // on the local wall clock
	RoundTrip  time.Duration // from the request to Received
	Duration   time.Duration // the lifetime requested
}

// Expiry returns when the credentials expire, on the local wall clock.
//
// The Date header has a resolution of one second, so the skew is known only to within one
// second plus the round trip. Only the part of a skew that exceeds this uncertainty is
// corrected. The serving margin covers the rest, except after a slow response, when
// Expiry assumes the largest possible skew that shortens the lifetime.
//
// A proxy can replace the header. If Expiration - Date is non-positive or exceeds the
// requested duration, the Date is not from STS and is ignored.
//
// The credentials were issued after the request was sent, so Expiry never returns more
// than that time plus the requested duration, regardless of the response. Therefore, if
// STS grants the requested duration, the credentials are never served past their true
// expiry, even if the local clock and the Date are both wrong. If STS grants g less, they
// are served at most g past their true expiry, and only if the Date is missing or wrong.
func (r Response) Expiry() time.Time {
	received, expires := r.Received.Round(0), r.Expiration.Round(0)
	sent := received.Add(-max(r.RoundTrip, 0))
	duration := min(max(r.Duration, 0), maxDuration)
	lifetime := r.Expiration.Sub(r.Date)
	if !r.Date.IsZero() && lifetime > 0 && lifetime <= duration+DateTolerance {
		earliest := sent.Add(-time.Second) // with correct clocks, the Date is later than this
		if r.Date.Before(earliest) || r.Date.After(received) || r.RoundTrip > prompt {
			expires = earliest.Add(lifetime)
		}
	}
	if limit := sent.Add(duration); expires.After(limit) {
		return limit
	}
	return expires
}

// spread maps r in [0, 1) to [from, to).
func spread(from, to time.Duration, r float64) time.Duration {
	return from + time.Duration(r*float64(to-from))
}
