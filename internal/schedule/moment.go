// Package schedule computes when credentials expire on the local clock, when they stop
// being served, when they are refreshed, and when a failed attempt is retried.
//
// The functions are pure functions of wall and elapsed times. They do not read clocks
// or generate random numbers, so that tests can simulate clock steps, suspends and
// skews.
package schedule

import (
	"math"
	"time"
)

// Moment is a point in time on two clocks. The wall clock can be stepped. The elapsed
// clock (monotonic, with an arbitrary start) stops while the machine is suspended. If
// they disagree, the clock that has advanced further decides.
type Moment struct {
	Wall    int64 // nanoseconds since the Unix epoch
	Elapsed time.Duration
}

// Never returns a moment that is never reached.
func Never() Moment {
	return Moment{Wall: math.MaxInt64, Elapsed: math.MaxInt64}
}

// At returns the moment t on an elapsed clock that started at base. Both t and base must
// have a monotonic clock reading.
func At(t, base time.Time) Moment {
	return Moment{Wall: t.UnixNano(), Elapsed: t.Sub(base)}
}

// Reached reports whether, at now, the wall clock or the elapsed clock has reached m.
func (m Moment) Reached(now Moment) bool {
	return now.Wall >= m.Wall || now.Elapsed >= m.Elapsed
}

// Add returns the moment d after m. The sum of Never and any duration is never reached.
func (m Moment) Add(d time.Duration) Moment {
	return Moment{Wall: add(m.Wall, int64(d)), Elapsed: time.Duration(add(int64(m.Elapsed), int64(d)))}
}

// Until returns the time from now until m, on whichever clock reaches m first.
func (m Moment) Until(now Moment) time.Duration {
	return min(time.Duration(add(m.Wall, -now.Wall)), m.Elapsed-now.Elapsed)
}

// Since returns the time from start to m on the clock that advanced more, or 0 if neither
// clock advanced. The elapsed clock omits suspends, and the wall clock can be set back,
// but the result is too short only if both happen. It is too long if the wall clock was
// set forward, which only shortens a lifetime.
func (m Moment) Since(start Moment) time.Duration {
	return max(time.Duration(add(m.Wall, -start.Wall)), m.Elapsed-start.Elapsed, 0)
}

// Time returns the wall clock time at m. It returns the zero Time for Never and for the
// zero Moment.
func (m Moment) Time() time.Time {
	if m.Wall == math.MaxInt64 || m == (Moment{}) {
		return time.Time{}
	}
	return time.Unix(0, m.Wall)
}

// Earlier returns a or b, whichever is earlier on the elapsed clock.
func Earlier(a, b Moment) Moment {
	if b.Elapsed < a.Elapsed {
		return b
	}
	return a
}

// First returns the moment that is reached as soon as a or b is reached.
func First(a, b Moment) Moment {
	return Moment{Wall: min(a.Wall, b.Wall), Elapsed: min(a.Elapsed, b.Elapsed)}
}

// add returns a + b, saturating on overflow.
func add(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	default:
		return a + b
	}
}
