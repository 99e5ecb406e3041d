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

// A reply that takes no longer than this is prompt.
const prompt = 2 * time.Second

// Expiry returns the moment, on the local clock, at which credentials end that end
// at expiration on STS's clock. date is the Date header of STS's reply, which came
// between sent and received on the local clock.
//
// The header has whole seconds, so it fits every skew of an interval as wide as a
// second and the round trip. Only a skew beyond it is corrected, and by no more
// than is certain. What is not corrected is covered by the margin of serving; after
// a reply that was not prompt it might not be, so the worst is taken.
func Expiry(expiration, date, sent, received time.Time) time.Time {
	fastest := received.Sub(date)             // the local clock is ahead by at most this
	slowest := sent.Sub(date) - 1*time.Second // and by at least this
	if slowest <= 0 && fastest >= 0 && received.Sub(sent) <= prompt {
		return expiration
	}
	return expiration.Add(slowest)
}

// spread maps r of [0, 1) to [from, to).
func spread(from, to time.Duration, r float64) time.Duration {
	return from + time.Duration(r*float64(to-from))
}
