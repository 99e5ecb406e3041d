// Package schedule says when: when credentials are too old to serve, when they
// are refreshed, when a failed attempt is repeated, and what STS's clock says.
//
// It is pure functions of a wall and an elapsed time. Nothing here reads a clock
// or draws a random number, so that every step, suspend and skew can be shown.
package schedule

import (
	"math"
	"time"
)

// Moment is one point in time on two clocks. The wall clock can be stepped, the
// elapsed one (monotonic, from an arbitrary start) stands still while the machine
// is suspended; where they disagree, whichever is further decides.
type Moment struct {
	Wall    int64 // nanoseconds since the Unix epoch
	Elapsed time.Duration
}

// Never is a moment that no clock reaches.
func Never() Moment {
	return Moment{Wall: math.MaxInt64, Elapsed: math.MaxInt64}
}

// At returns the moment at which t is read from a clock that started at base;
// both must carry a monotonic reading.
func At(t, base time.Time) Moment {
	return Moment{Wall: t.UnixNano(), Elapsed: t.Sub(base)}
}

// Reached says whether, at now, the wall or the elapsed clock has come to m.
func (m Moment) Reached(now Moment) bool {
	return now.Wall >= m.Wall || now.Elapsed >= m.Elapsed
}

// Add returns the moment d after m. What is added to Never stays out of reach.
func (m Moment) Add(d time.Duration) Moment {
	return Moment{Wall: add(m.Wall, int64(d)), Elapsed: time.Duration(add(int64(m.Elapsed), int64(d)))}
}

// Until returns how long m is away at now: on the clock that comes to it first.
func (m Moment) Until(now Moment) time.Duration {
	return min(time.Duration(add(m.Wall, -now.Wall)), m.Elapsed-now.Elapsed)
}

// Since returns the time from start to m, on the clock that counted more of it. The elapsed
// clock omits a suspend, and the wall clock can be set back; what is lost is both at once. A
// result that is too long, after the wall clock was set forward, only shortens a lifetime.
func (m Moment) Since(start Moment) time.Duration {
	return max(time.Duration(add(m.Wall, -start.Wall)), m.Elapsed-start.Elapsed, 0)
}

// Time returns the wall clock's time at m, zero for a moment that never comes.
func (m Moment) Time() time.Time {
	if m.Wall == math.MaxInt64 || m == (Moment{}) {
		return time.Time{}
	}
	return time.Unix(0, m.Wall)
}

// Earlier returns the one of a and b that is nearer on the elapsed clock.
func Earlier(a, b Moment) Moment {
	if b.Elapsed < a.Elapsed {
		return b
	}
	return a
}

// First returns the moment from which on a or b, or both, are reached.
func First(a, b Moment) Moment {
	return Moment{Wall: min(a.Wall, b.Wall), Elapsed: min(a.Elapsed, b.Elapsed)}
}

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
