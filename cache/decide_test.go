package cache

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/schedule"
)

// randomMoment returns a moment within an hour of now on both clocks, or a special one.
func randomMoment(random *rand.Rand, now schedule.Moment) schedule.Moment {
	switch random.IntN(6) {
	case 0:
		return schedule.Never()
	case 1:
		return schedule.Moment{}
	case 2:
		return now
	default:
		return now.Add(time.Duration(random.Int64N(int64(2*time.Hour))) - time.Hour)
	}
}

// randomState returns a random state and random reasons. Most combinations do not occur in practice.
func randomState(random *rand.Rand, now schedule.Moment) (*snapshot, reasons) {
	at := func() schedule.Moment { return randomMoment(random, now) }
	yes := func() bool { return random.IntN(2) == 0 }
	s := &snapshot{phase: phase(random.IntN(int(closed + 1))), until: at(), refreshAt: at(), repeated: yes()}
	if yes() {
		s.failures = 1 + random.IntN(5)
		s.setFailure(errors.New("no"))
	}
	return s, reasons{
		pending: pending{demand: yes(), requested: yes(), woken: yes()},
		started: random.IntN(8), idle: yes(),
		spacedUntil: at(), invalidateSpacedUntil: at(), retryServing: at(), retryEmpty: at(),
	}
}

func TestDecide(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	now := schedule.Moment{Wall: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano(), Elapsed: 24 * time.Hour}
	for range 50_000 {
		s, r := randomState(random, now)
		d, serving := decide(s, r, now), s.serves(now, 0)
		state := []any{s, r, d}

		require.False(t, d.start && d.timer, state)
		require.False(t, d.start && !d.due.Reached(now), "starts an attempt before it is due", state)
		require.False(t, d.timer && (d.due.Reached(now) || d.due == schedule.Never()), "sets a timer that is due or never fires", state)
		require.False(t, !serving && s.failures > 0 && !r.demand && (d.start || d.timer), "an attempt without demand", state)
		require.False(t, r.started == 0 && !r.demand && (d.start || d.timer), "an attempt before the first caller", state)
		require.False(t, r.idle && !r.demand && !r.requested && serving && d.start, "an attempt for an idle Cache", state)
		if s.phase == closed {
			require.Equal(t, decision{due: schedule.Never()}, d, "an attempt or a timer after Close", state)
			continue
		}
		require.Equal(t, d, decide(s, r, now), "the decision is not deterministic")
		if r.demand {
			require.True(t, d.start || d.timer || d.due == schedule.Never(), "a caller waits forever", state)
		}
		if !serving && s.failures == 0 && s.phase != withdrawn && !r.requested && !s.repeated && r.demand {
			require.True(t, d.start, "a caller waits although nothing has failed", state)
		}
		if s.failures > 0 && d.start && !r.woken {
			require.True(t, r.retryServing.Reached(now) || r.retryEmpty.Reached(now), "no backoff", state)
		}

		// An additional reason never delays an attempt after a failure.
		if s.failures > 0 {
			more := r
			more.woken, more.demand = true, true
			require.False(t, d.start && !decide(s, more, now).start, state)
		}
		// Time alone never removes a reason while credentials are served.
		later := now.Add(time.Duration(random.Int64N(int64(time.Hour))))
		if d.start && serving && s.serves(later, 0) {
			require.True(t, decide(s, r, later).start, state)
		}
	}
}
