package schedule

import (
	"strconv"
	"time"
)

const (
	// Spacing is the least time between the beginnings of two attempts of which
	// the second was asked for: by a rotated token, a view or a call.
	Spacing = time.Second

	// RefusalSpacing is the least time between two refreshes that begin because
	// a service refused the credentials.
	RefusalSpacing = time.Minute

	// lastTry is how long before the end of serving the last attempt begins.
	lastTry = 200 * time.Millisecond

	// The waits between attempts grow to these, times up to 1.25.
	capEmpty     = 4 * time.Second  // nothing to serve
	capPermanent = 24 * time.Second // nothing to serve, and only a person can mend it
	capServing   = 48 * time.Second // valid credentials remain
)

// Retry is how long to wait after a failed attempt, by what there is to serve at
// the time: valid credentials can end in the middle of a long wait.
type Retry struct {
	Serving time.Duration
	Empty   time.Duration
}

// RetryAfter returns the waits after the last of so many failures in a row. left
// is what remains of the life of the credentials that are being served, 0 where
// there are none; permanent says that the failure will not pass by itself; asked is how
// long the source asks to wait, which makes a wait longer, but never longer than the
// longest. The random number r, of [0, 1), spreads the attempts of many processes.
func RetryAfter(failures int, left time.Duration, permanent bool, asked time.Duration, r float64) Retry {
	longest := capEmpty
	if permanent && left <= 0 {
		longest = capPermanent
	}
	return Retry{Serving: serving(failures, left, asked, r), Empty: jitter(atLeast(asked, failures, longest), r)}
}

// atLeast is the step after that many failures, or what was asked for if it is longer.
func atLeast(asked time.Duration, failures int, longest time.Duration) time.Duration {
	return max(step(failures, longest), min(asked, longest))
}

// serving is the wait while there are valid credentials for another left: half of
// that leaves room for more tries within the life, but no try comes sooner than it
// would with nothing to serve. The last try is just before the end, so that an
// outage that is over by then reaches nobody.
func serving(failures int, left, asked time.Duration, r float64) time.Duration {
	least := jitter(step(failures, capEmpty), r)
	wait := max(min(jitter(atLeast(asked, failures, capServing), r), left/2), least)
	last, next := left-lastTry, jitter(step(failures+1, capEmpty), 1)
	if last >= least && wait+next > last {
		return last
	}
	return wait
}

func jitter(d time.Duration, r float64) time.Duration {
	return spread(d, d+d/4, r)
}

// step is the wait after that many failures in a row: 0.2, 1, 2, 4, 8 … seconds.
func step(failures int, longest time.Duration) time.Duration {
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

// Milliseconds returns the duration that an X-Amz-Retry-After header asks for, 0 if it is none.
func Milliseconds(header string) time.Duration {
	ms, err := strconv.ParseInt(header, 10, 64)
	if err != nil || ms < 0 {
		return 0
	}
	return time.Duration(min(ms, int64(time.Hour/time.Millisecond))) * time.Millisecond
}
