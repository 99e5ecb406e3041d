package schedule_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/internal/schedule"
)

// noon is a moment when the elapsed clock has run for an hour.
var noon = schedule.Moment{Wall: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC).UnixNano(), Elapsed: time.Hour}

// later returns the moment when the given times have passed on the wall and elapsed clocks.
func later(m schedule.Moment, wall, elapsed time.Duration) schedule.Moment {
	return schedule.Moment{Wall: m.Wall + int64(wall), Elapsed: m.Elapsed + elapsed}
}

func TestMomentIsReachedOnEitherClock(t *testing.T) {
	due := noon.Add(10 * time.Minute)
	for _, tt := range []struct {
		name          string
		wall, elapsed time.Duration // passed since noon
		reached       bool
		until         time.Duration
	}{
		{"at once", 0, 0, false, 10 * time.Minute},
		{"a nanosecond too early", 10*time.Minute - 1, 10*time.Minute - 1, false, 1},
		{"on time", 10 * time.Minute, 10 * time.Minute, true, 0},
		{"too late", time.Hour, time.Hour, true, -50 * time.Minute},
		{"the wall clock was stepped an hour back", 10*time.Minute - time.Hour, 10 * time.Minute, true, 0},
		{"it was stepped back, and it is not yet time", 9*time.Minute - time.Hour, 9 * time.Minute, false, time.Minute},
		{"the wall clock was stepped an hour forward", time.Minute + time.Hour, time.Minute, true, -51 * time.Minute},
		{"it was stepped five minutes forward", 6 * time.Minute, time.Minute, false, 4 * time.Minute},
		{"the machine was suspended for two hours", time.Minute + 2*time.Hour, time.Minute, true, -111 * time.Minute},
		{"it was suspended for five minutes", 6 * time.Minute, time.Minute, false, 4 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := later(noon, tt.wall, tt.elapsed)
			assert.Equal(t, tt.reached, due.Reached(now))
			assert.Equal(t, tt.until, due.Until(now))
			assert.Equal(t, tt.reached, due.Until(now) <= 0)
			assert.False(t, schedule.Never().Reached(now))
		})
	}
	assert.True(t, schedule.Moment{}.Reached(noon), "the zero Moment is reached")
}

func TestNeverIsNeverReached(t *testing.T) {
	never := schedule.Never()
	centuries := later(noon, 200*365*24*time.Hour, 200*365*24*time.Hour)
	for _, d := range []time.Duration{0, 1, time.Hour, math.MaxInt64} {
		assert.Equal(t, never, never.Add(d))
	}
	assert.False(t, never.Add(-10*365*24*time.Hour).Reached(centuries))
	assert.Greater(t, never.Until(centuries), 10*365*24*time.Hour)
	assert.Zero(t, never.Time())
}

func TestMomentAddAndUntilDoNotOverflow(t *testing.T) {
	const most, least = math.MaxInt64, math.MinInt64
	for _, tt := range []struct {
		name string
		m    schedule.Moment
		d    time.Duration
		want schedule.Moment
	}{
		{"beyond the end of both", noon, most, schedule.Never()},
		{"beyond the end of the wall clock", noon, most - time.Duration(noon.Wall) + 1, schedule.Moment{Wall: most, Elapsed: most - time.Duration(noon.Wall) + 1 + time.Hour}},
		{"up to the end of the wall clock", noon, most - time.Duration(noon.Wall), schedule.Moment{Wall: most, Elapsed: most - time.Duration(noon.Wall) + time.Hour}},
		{"before the beginning", schedule.Moment{Wall: -2, Elapsed: -2}, least + 1, schedule.Moment{Wall: least, Elapsed: least}},
		{"nothing", noon, 0, noon},
		{"an hour less", noon, -time.Hour, later(noon, -time.Hour, -time.Hour)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, tt.m.Add(tt.d))
		})
	}
	before1970 := schedule.Moment{Wall: -int64(time.Hour), Elapsed: time.Hour}
	assert.Equal(t, most-time.Hour, schedule.Never().Until(before1970))
	assert.Equal(t, time.Duration(most), schedule.Never().Until(schedule.Moment{Wall: -1}))
}

func TestMomentTimeIsWallClockTime(t *testing.T) {
	base := time.Now()
	at := base.Add(90 * time.Second)
	m := schedule.At(at, base)
	assert.Equal(t, schedule.Moment{Wall: at.UnixNano(), Elapsed: 90 * time.Second}, m)
	assert.True(t, m.Time().Equal(at))
	assert.Zero(t, schedule.Moment{}.Time())
}

func TestEarlierAndFirst(t *testing.T) {
	soon := later(noon, time.Hour, time.Minute) // on the elapsed clock
	late := later(noon, time.Minute, time.Hour)
	assert.Equal(t, soon, schedule.Earlier(soon, late))
	assert.Equal(t, soon, schedule.Earlier(late, soon))
	assert.Equal(t, soon, schedule.Earlier(soon, schedule.Never()))
	assert.Equal(t, soon, schedule.Earlier(schedule.Never(), soon))

	first := later(noon, time.Minute, time.Minute)
	assert.Equal(t, first, schedule.First(soon, late))
	assert.Equal(t, first, schedule.First(late, soon))
	for _, now := range []schedule.Moment{noon, first, soon, late, later(noon, time.Minute, 0), later(noon, 0, time.Minute)} {
		assert.Equal(t, soon.Reached(now) || late.Reached(now), schedule.First(soon, late).Reached(now))
	}
}

func TestMomentSinceUsesClockThatAdvancedMore(t *testing.T) {
	for _, tt := range []struct {
		name          string
		wall, elapsed time.Duration
		want          time.Duration
	}{
		{"both clocks agree", time.Second, time.Second, time.Second},
		{"the wall clock was set back", time.Second - time.Hour, time.Second, time.Second},
		{"the machine was suspended, or the wall clock set forward", time.Second + time.Hour, time.Second, time.Second + time.Hour},
		{"neither clock advanced", -time.Second, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, later(noon, tt.wall, tt.elapsed).Since(noon))
		})
	}
	assert.Equal(t, time.Duration(math.MaxInt64), schedule.Never().Since(schedule.Moment{Wall: -1}))
}
