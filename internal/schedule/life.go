package schedule

import "time"

// MinLife is the shortest life of credentials that are worth having. It also
// bounds how often a source that always answers can be asked.
const MinLife = time.Second

// A life is counted as at most this: beyond it nanoseconds overflow.
const maxLife = 10 * 365 * 24 * time.Hour

// Life returns how long credentials that end at expires live, seen at now.
func Life(now Moment, expires time.Time) time.Duration {
	return min(expires.Sub(time.Unix(0, now.Wall)), maxLife)
}

// Margin returns how long before their end credentials stop being served, so that
// a request signed with them still arrives in time: 80 to 100% of 10 s, or of 1% of a
// shorter lifetime. The random number r, of [0, 1), makes the end differ between processes.
func Margin(life time.Duration, r float64) time.Duration {
	longest := min(10*time.Second, life/100)
	return spread(longest/5*4, longest, r)
}

// MaxMinTTL returns the most that can be asked to be left of a life: what is above
// 60 % of it would be met for so short a time after each refresh that there would
// be little but refreshes.
func MaxMinTTL(life time.Duration) time.Duration {
	return life / 10 * 6
}

// RefreshAfter returns how long after they were received credentials of that life
// are refreshed, so that minTTL of it is always left. The random number r, of
// [0, 1), spreads the refreshes of many processes that started together over 60 to
// 80 % of the life, or over the last quarter of what minTTL leaves free.
func RefreshAfter(life, minTTL time.Duration, r float64) time.Duration {
	end := life / 10 * 8
	if minTTL <= MaxMinTTL(life) {
		end = min(end, (life-minTTL)/10*9) // the margin is less than the rest
	}
	return spread(end/4*3, end, r)
}

const (
	// DateTolerance is how much Expiration - Date can differ from the lifetime granted: both
	// have whole seconds, and STS does not read its clock for both at once.
	DateTolerance = 2 * time.Second

	// prompt is the longest round trip after which a skew within the uncertainty of the
	// exchange may stay uncorrected.
	prompt = 2 * time.Second

	// maxDuration is the longest lifetime that STS grants.
	maxDuration = 12 * time.Hour
)

// Response describes a successful response of STS. It contains one reading of the local wall
// clock: two would differ by more than the round trip if the clock was stepped in between.
type Response struct {
	Expiration time.Time     // of the credentials, on STS's clock
	Date       time.Time     // of the response, on STS's clock; zero if unknown
	Received   time.Time     // on the local wall clock
	RoundTrip  time.Duration // from the request to Received
	Duration   time.Duration // the lifetime requested
}

// Expiry returns when the credentials expire on the local wall clock.
//
// The Date header has whole seconds, so it fits every skew in an interval as wide as one
// second and the round trip. Only a skew beyond that interval is corrected, and only by its
// certain part. The serving margin covers the rest. It might not after a response that was
// not prompt, so then the largest skew that shortens the lifetime is assumed.
//
// A proxy can replace the header. If Expiration - Date is not positive, or longer than the
// requested duration, the Date is not STS's and is ignored.
//
// The credentials were issued after the request was sent, so they never expire later than
// the requested duration after that, whatever the response contains. Therefore, if STS
// grants the requested duration, the credentials are never served past their true end, even
// if the local clock and the Date are both wrong. If STS grants g less, they are served at
// most g past it, and only if the Date is missing or wrong.
func (r Response) Expiry() time.Time {
	received, expires := r.Received.Round(0), r.Expiration.Round(0)
	sent := received.Add(-max(r.RoundTrip, 0))
	duration := min(max(r.Duration, 0), maxDuration)
	lifetime := r.Expiration.Sub(r.Date)
	if !r.Date.IsZero() && lifetime > 0 && lifetime <= duration+DateTolerance {
		earliest := sent.Add(-time.Second) // the Date of a response to a request at sent is later
		if r.Date.Before(earliest) || r.Date.After(received) || r.RoundTrip > prompt {
			expires = earliest.Add(lifetime)
		}
	}
	if limit := sent.Add(duration); expires.After(limit) {
		return limit
	}
	return expires
}

// spread maps r of [0, 1) to [from, to).
func spread(from, to time.Duration, r float64) time.Duration {
	return from + time.Duration(r*float64(to-from))
}
