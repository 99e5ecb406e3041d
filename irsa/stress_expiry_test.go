package irsa_test

import (
	"net/http"
	"strconv"
	"time"
)

// distortion describes how a middlebox changes STS's responses.
type distortion struct {
	date   time.Time     // replaces the Date header if non-zero
	offset time.Duration // shifts the Date header if non-zero
	age    bool          // adds an Age header
	pause  time.Duration // delays the body
}

// setDistortion changes or removes the middlebox's distortion.
func (w *world) setDistortion() {
	var d distortion
	switch w.random.IntN(8) {
	case 0:
		d.date = time.Date(1980+w.random.IntN(20), 1, 1, 0, 0, 0, 0, time.UTC)
	case 1:
		d.date = time.Date(2001+w.random.IntN(50), 1, 1, 0, 0, 0, 0, time.UTC)
	case 2:
		d.offset = -time.Hour
	case 3:
		d.offset = time.Duration(1 + w.random.Int64N(int64(w.lifetime()/4)))
	case 4:
		d.offset, d.age = w.lifetime()/4, true
	case 5:
		d.pause = time.Duration(w.random.Int64N(int64(4 * time.Second)))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.distortion = d
}

// lifetime returns the shortest requested lifetime. Derived Providers request 15 minutes.
func (w *world) lifetime() time.Duration { return min(w.life, 15*time.Minute) }

// applyDistortion changes a header. It returns the pause before the body, and reports whether the
// header was changed.
func (w *world) applyDistortion(header http.Header) (bool, time.Duration) {
	w.mu.Lock()
	d := w.distortion
	w.mu.Unlock()
	if d.offset != 0 {
		d.date = time.Now().Add(d.offset)
	}
	if !d.date.IsZero() {
		header.Set("Date", d.date.UTC().Format(http.TimeFormat))
	}
	if d.age {
		header.Set("Age", "0")
	}
	return !d.date.IsZero(), d.pause
}

// grant returns the credentials of an exchange whose response has been received.
func (x seen) grant(key string, expiration, now time.Time) *grant {
	trip := now.Sub(x.sent)
	s := &grant{key: key, end: expiration.Add(-x.ahead)}
	if limit := x.sent.Add(x.duration()); s.end.Before(limit.Add(-2 * time.Second)) {
		s.end = limit // STS granted less than was requested, which wrong clocks can hide
	}
	s.latest = s.end.Add(2 * time.Second)
	// The Date header is in whole seconds, and STS may have written it at any time during the call.
	s.earliest = expiration.Add(-x.ahead - 2*time.Second - trip)
	if earliest := x.distortedEnd(expiration); x.distorted && earliest.Before(s.earliest) {
		s.earliest = earliest.Add(-2*time.Second - trip)
	}
	s.certain = s.earliest.Add(-10 * time.Second)
	return s
}

// distortedEnd returns the earliest end that the Provider may assume if the Date does not come from
// STS. The Provider relies on the Date, or on the node's clock if the Date is implausible.
func (x seen) distortedEnd(expiration time.Time) time.Time {
	end := expiration
	date, err := http.ParseTime(x.header.Get("Date"))
	lifetime := expiration.Sub(date)
	if err == nil && x.header.Get("Age") == "" && lifetime > 0 && lifetime <= x.duration()+2*time.Second {
		if byDate := x.sent.Add(lifetime - time.Second); byDate.Before(end) {
			end = byDate
		}
	}
	return end
}

// duration returns the lifetime that was requested.
func (x seen) duration() time.Duration {
	seconds, _ := strconv.Atoi(x.form.Get("DurationSeconds"))
	return time.Duration(seconds) * time.Second
}

// keepOld records that the Provider may continue to serve old credentials instead of s, because it
// must assume that the old credentials expire later.
func (s *grant) keepOld(old *grant, now time.Time) {
	if old == nil || !old.invalidated.IsZero() || !now.Before(old.latest) || !s.earliest.Before(old.latest) {
		return
	}
	s.unsure = true
	if old.certain.Before(s.certain) {
		s.certain = old.certain
	}
	if old.latest.After(s.latest) {
		s.latest = old.latest
	}
}
