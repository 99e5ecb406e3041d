package schedule_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/schedule"
	"github.com/irsakit/irsakit/internal/test/testsize"
)

// All times are relative to the local wall clock at receipt.
func TestExpiry(t *testing.T) {
	const none = time.Duration(math.MinInt64)
	received := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name                 string
		expiration, date     time.Duration
		roundTrip, requested time.Duration
		want                 time.Duration
	}{
		{"right clocks", time.Hour, 0, 0, time.Hour, time.Hour},
		{"no Date", time.Hour, none, 0, time.Hour, time.Hour},
		{"no Date, local clock 10 minutes ahead", 50 * time.Minute, none, 0, time.Hour, 50 * time.Minute},
		{"no Date, local clock 10 minutes behind", 70 * time.Minute, none, 0, time.Hour, time.Hour},
		{"local clock 10 minutes ahead", 50 * time.Minute, -10 * time.Minute, 0, time.Hour, time.Hour - time.Second},
		{"local clock 10 minutes behind", 70 * time.Minute, 10 * time.Minute, 0, time.Hour, time.Hour - time.Second},
		{"local clock 10 minutes behind, less granted", 30 * time.Minute, 10 * time.Minute, 0, time.Hour, 20*time.Minute - time.Second},

		{"Date an hour behind", time.Hour, -time.Hour, 0, time.Hour, time.Hour},
		{"Date 2 s behind, local clock 10 minutes ahead", 50 * time.Minute, -10*time.Minute - 2*time.Second, 0, time.Hour, time.Hour},
		{"Date a nanosecond more behind, local clock 10 minutes ahead", 50 * time.Minute, -10*time.Minute - 2*time.Second - 1, 0, time.Hour, 50 * time.Minute},
		{"Date 2 s behind, less granted", 59 * time.Minute, -2 * time.Second, 0, time.Hour, 59*time.Minute + time.Second},
		{"Date an hour behind, half granted", 30 * time.Minute, -time.Hour, 0, time.Hour, 30 * time.Minute},
		{"Date half an hour behind, half granted: half an hour too late", 30 * time.Minute, -30 * time.Minute, 0, time.Hour, time.Hour - time.Second},
		{"Date 2 hours ahead", time.Hour, 2 * time.Hour, 0, time.Hour, time.Hour},
		{"Date at the Expiration", time.Hour, time.Hour, 0, time.Hour, time.Hour},
		{"Date in 1980", time.Hour, -46 * year, 0, time.Hour, time.Hour},
		{"Date in 2050", time.Hour, 24 * year, 0, time.Hour, time.Hour},

		{"a month for 15 minutes", 30 * 24 * time.Hour, 0, 0, 15 * time.Minute, 15 * time.Minute},
		{"a month for 15 minutes, no Date", 30 * 24 * time.Hour, none, 0, 15 * time.Minute, 15 * time.Minute},
		{"2 s more than requested", time.Hour + 2*time.Second, 0, 0, time.Hour, time.Hour},
		{"the limit begins when the request was sent", 20 * time.Minute, none, 20 * time.Second, 15 * time.Minute, 15*time.Minute - 20*time.Second},
		{"expired", -time.Hour, 0, 0, time.Hour, -time.Hour},
		{"expired, no Date", -time.Hour, none, 0, time.Hour, -time.Hour},

		{"slow response", time.Hour - 8*time.Second, -8 * time.Second, 10 * time.Second, time.Hour, time.Hour - 11*time.Second},
		{"slow response, local clock 10 minutes behind", 70*time.Minute - 8*time.Second, 10*time.Minute - 8*time.Second, 10 * time.Second, time.Hour, time.Hour - 11*time.Second},

		{"more than 12 hours requested", 30 * time.Hour, none, 0, 30 * time.Hour, 12 * time.Hour},
		{"the longest duration", 100 * year, none, 0, math.MaxInt64, 12 * time.Hour},
		{"a negative duration", time.Hour, 0, 0, math.MinInt64, 0},
		{"a negative round trip", 2 * time.Hour, 0, -time.Hour, time.Hour, time.Hour},
		{"the longest round trip", time.Hour, none, math.MaxInt64, time.Hour, time.Hour - math.MaxInt64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := schedule.Response{Expiration: received.Add(tt.expiration), Received: received, RoundTrip: tt.roundTrip, Duration: tt.requested}
			if tt.date != none {
				r.Date = received.Add(tt.date)
			}
			assert.Equal(t, tt.want, r.Expiry().Sub(received))
		})
	}
}

func TestExpiryBeyondRangeOfDuration(t *testing.T) {
	received := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	first, last := time.Date(1, 1, 1, 1, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	for _, tt := range []struct {
		name             string
		expiration, date time.Time
		want             time.Time
	}{
		{"year 9999", last, received, received.Add(time.Hour)},
		{"year 9999, no Date", last, time.Time{}, received.Add(time.Hour)},
		{"year 9999 on STS's clock too", last, last.Add(-time.Hour), received.Add(time.Hour - time.Second)},
		{"year 1", first, received, first},
		{"year 1, no Date", first, time.Time{}, first},
		{"year 1 on STS's clock too", first, first.Add(-time.Minute), received.Add(time.Minute - time.Second)},
		{"Date in year 9999", received.Add(time.Hour), last, received.Add(time.Hour)},
		{"Date in year 1", received.Add(time.Hour), first, received.Add(time.Hour)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := schedule.Response{Expiration: tt.expiration, Date: tt.date, Received: received, Duration: time.Hour}
			assert.Equal(t, tt.want, r.Expiry())
		})
	}
}

func TestExpiryHasNoMonotonicReading(t *testing.T) {
	now := time.Now()
	for _, requested := range []time.Duration{time.Hour, time.Minute} {
		r := schedule.Response{Expiration: now.Add(time.Minute + time.Second), Received: now, Duration: requested}
		assert.Equal(t, r.Expiry().Round(0), r.Expiry(), "requested %v", requested) // Equal compares the monotonic readings too
	}
}

// world describes one exchange in true time, from the start of the exchange.
type world struct {
	start              time.Time     // in true time
	issued, received   time.Duration // after start
	requested, granted time.Duration
	skew               time.Duration // offset of the local wall clock at start
	step               time.Duration // change of the local wall clock during the exchange
	suspended          time.Duration // during the exchange; omitted by the monotonic clock
	date               time.Time     // zero if missing, or unusable because of an Age header
	dateRight          bool
}

func anyWorld(rnd *rand.Rand) world {
	w := world{start: time.Unix(1767225600, rnd.Int64N(1e9))}
	slowest := []time.Duration{time.Second, 2 * time.Second, 30 * time.Second}[rnd.IntN(3)]
	w.received = between(rnd, 0, slowest+1)
	w.issued = between(rnd, 0, w.received+1)
	suspended := rnd.IntN(8) == 0
	if suspended {
		w.suspended = between(rnd, 0, 4*time.Hour)
		w.received += w.suspended
		if rnd.IntN(2) == 0 {
			w.issued += w.suspended // the credentials were issued after the suspend
		}
	}
	w.requested = between(rnd, 15*time.Minute, 12*time.Hour+time.Second).Truncate(time.Second)
	w.granted = w.requested
	if rnd.IntN(2) == 0 {
		w.granted = between(rnd, time.Second, w.requested+1)
	}
	if rnd.IntN(2) == 0 {
		w.skew = between(rnd, -24*time.Hour, 24*time.Hour)
	}
	switch n := rnd.IntN(4); {
	case suspended: // no step: together with a step backward, no clock shows the suspend
	case n == 0:
		w.step = between(rnd, -2*time.Hour, 2*time.Hour)
	case n == 1:
		w.step = -w.skew // the clock is corrected
	}
	issued := w.start.Add(w.issued).Truncate(time.Second)
	switch rnd.IntN(4) {
	case 0: // none
	case 1:
		w.date, w.dateRight = issued, true
	case 2:
		from, to := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
		w.date = time.Unix(from+rnd.Int64N(to-from), 0)
	default:
		w.date = issued.Add(between(rnd, -13*time.Hour, 13*time.Hour)).Truncate(time.Second)
	}
	return w
}

// expiration returns the Expiration of the response, which is when the credentials truly expire.
func (w world) expiration() time.Time { return w.start.Add(w.issued + w.granted).Truncate(time.Second) }

// local returns what the local wall clock shows at the true time t, after the exchange.
func (w world) local(t time.Time) time.Time { return t.Add(w.skew + w.step) }

// expiry returns the expiry that the library computes from the local clocks and the response.
func (w world) expiry() (expiry, received time.Time) {
	sent := schedule.Moment{Wall: w.start.Add(w.skew).UnixNano(), Elapsed: time.Hour}
	received = w.local(w.start.Add(w.received))
	at := schedule.Moment{Wall: received.UnixNano(), Elapsed: time.Hour + w.received - w.suspended}
	r := schedule.Response{Expiration: w.expiration(), Date: w.date, Received: received, RoundTrip: at.Since(sent), Duration: w.requested}
	return r.Expiry(), received
}

// If STS grants the requested duration, credentials are never served past their true
// expiry. Otherwise they are served at most as long past it as the part that was not
// granted, and not at all if the Date is correct.
func TestExpiryIsNeverLaterThanTrueExpiry(t *testing.T) {
	rnd := random()
	for range testsize.Choose(5, 20, 20) * draws {
		w := anyWorld(rnd)
		expiry, received := w.expiry()
		truth := w.local(w.expiration())
		served := expiry.Add(-schedule.Margin(expiry.Sub(received), 0))
		require.False(t, expiry.After(received.Add(w.requested)), "longer than requested: %+v", w)
		if !expiry.After(received) {
			continue // never served
		}
		allowed := w.requested - w.granted
		if w.dateRight {
			allowed = min(allowed, 3*time.Second) // an uncorrected skew; about the serving margin of a 5-minute lifetime
		}
		if expiry.Sub(received) < 100*time.Second {
			allowed += time.Second // the margin is less than the fraction of a second that Expiration omits
		}
		require.LessOrEqual(t, served.Sub(truth), allowed, "%+v", w)
	}
}

// Without a step forward or a suspend, lifetimes are not shortened more than necessary.
func TestExpiryIsNotMuchEarlierThanTrueExpiry(t *testing.T) {
	rnd := random()
	for range testsize.Choose(5, 20, 20) * draws {
		w := anyWorld(rnd)
		w.received, w.suspended = w.received-w.suspended, 0
		w.issued = min(w.issued, w.received)
		w.step = min(w.step, 0) // set back, or not at all
		w.date = time.Time{}
		if rnd.IntN(2) == 0 {
			w.date = w.start.Add(w.issued).Truncate(time.Second)
		} else {
			w.skew = -w.step // correct at receipt
		}
		expiry, _ := w.expiry()
		require.LessOrEqual(t, w.local(w.expiration()).Sub(expiry), time.Second+w.received, "%+v", w)
	}
}
