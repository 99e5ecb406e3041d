package cache

import (
	"math"
	"testing/synctest"
	"time"

	"github.com/irsakit/irsakit/internal/schedule"
)

// moments returns the moments at which the behavior of the Cache can change.
func (m *model) moments() []schedule.Moment {
	m.cache.mu.Lock()
	defer m.cache.mu.Unlock()
	s, sched := m.cache.state.Load(), &m.cache.scheduler
	lastReplace := time.Duration(0)
	if sched.lastReplace != schedule.Never() {
		lastReplace = sched.lastReplace.Elapsed
	}
	all := []schedule.Moment{s.due, sched.spacedUntil, sched.invalidateSpacedUntil}
	if s.phase == obtained {
		replaced := max(s.received.Elapsed, lastReplace)
		all = append(all, s.until, s.refreshAt, onlyElapsed(replaced+modelMinAge))
	}
	if s.phase == obtained && m.view != nil {
		all = append(all, s.until.Add(-modelMinTTL))
	}
	if s.failures > 0 {
		all = append(all, sched.retryServing, sched.retryEmpty)
	}
	if isInTime(m) {
		all = append(all, onlyElapsed(m.limit.Sub(m.cache.base)))
	}
	return all
}

// required returns the moments at which the promises start to allow or forbid something.
func (m *model) required() []schedule.Moment {
	all := []schedule.Moment{m.started.Add(schedule.Spacing), m.withdrawn.Add(schedule.RejectionSpacing)}
	if m.failures > 0 {
		all = append(all, m.failedAt.Add(m.backoff()))
	}
	if m.grant != nil {
		all = append(all, m.grant.end)
	}
	return all
}

// onlyElapsed returns a moment that only the monotonic clock reaches.
func onlyElapsed(d time.Duration) schedule.Moment {
	return schedule.Moment{Wall: math.MaxInt64, Elapsed: d}
}

// clock returns the time from now until a moment on one clock.
type clock func(at, now schedule.Moment) time.Duration

func wallClock(at, now schedule.Moment) time.Duration      { return time.Duration(at.Wall - now.Wall) }
func monotonicClock(at, now schedule.Moment) time.Duration { return at.Elapsed - now.Elapsed }

// nextMoment returns the time until one of the clocks reaches the next moment, or 0 if there is no next moment.
func (m *model) nextMoment(clocks ...clock) (next time.Duration) {
	now := m.cache.now()
	for _, at := range m.moments() {
		for _, until := range clocks {
			if d := until(at, now); d > 0 && d < 24*time.Hour && (next == 0 || d < next) {
				next = d
			}
		}
	}
	return next
}

// moveWallClock moves the wall clock to the next moment. It reports whether there is one.
func (m *model) moveWallClock() bool {
	d := m.nextMoment(wallClock)
	m.jump(d)
	return d > 0
}

// moveMonotonicClock moves the monotonic clock, along with the timers, to the next moment.
func (m *model) moveMonotonicClock() bool {
	d := m.nextMoment(monotonicClock)
	m.jump(-d)
	m.pass(d)
	return d > 0
}

// moveBothClocks lets time pass until one of the clocks reaches the next moment.
func (m *model) moveBothClocks() bool {
	d := m.nextMoment(wallClock, monotonicClock)
	m.pass(d)
	return d > 0
}

// reachEnd moves a clock until it reaches the end of serving.
func (m *model) reachEnd(until clock, move func(*model) bool) {
	for isServing(m) && until(m.cache.state.Load().until, m.cache.now()) > 0 && move(m) {
		m.check()
	}
}

// jump moves the wall clock of the Cache, along with every recorded moment.
func (m *model) jump(wall time.Duration) {
	step(m.cache, wall, 0)
	for _, at := range []*schedule.Moment{&m.started, &m.withdrawn, &m.failedAt} {
		if *at != schedule.Never() {
			jump(at, wall, 0)
		}
	}
	if m.grant != nil {
		jump(&m.grant.end, wall, 0)
		m.creds.Expires = m.creds.Expires.Add(-wall)
	}
}

// pass advances the time, and waits until all resulting work is done.
func (m *model) pass(d time.Duration) {
	m.mu.Unlock()
	defer m.mu.Lock()
	time.Sleep(d)
	synctest.Wait()
}

// wait waits until all work started by an event is done.
func (m *model) wait() { m.pass(0) }
