package cache

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/schedule"
	"github.com/irsakit/irsakit/internal/test/testsize"
)

// event is an event of the model.
type event struct {
	name string
	do   func(m *model) bool // reports whether the event is possible
}

// possible returns an event that is possible only if the condition holds.
func possible(name string, condition func(*model) bool, do func(*model)) event {
	return event{name, func(m *model) bool {
		if !condition(m) {
			return false
		}
		do(m)
		return true
	}}
}

func isOpen(m *model) bool        { return m.closed == nil }
func isRunning(m *model) bool     { return m.awaits }
func isWaiting(m *model) bool     { return m.caller != nil }
func noCallerWaits(m *model) bool { return m.caller == nil && m.closed == nil }
func isInTime(m *model) bool      { return m.awaits && m.closed == nil && !m.overdue }
func isServing(m *model) bool     { return m.closed == nil && m.cache.state.Load().phase == obtained }

// modelEvents are the events of the model. Time always advances to the next moment at which the
// behavior can change.
var modelEvents = []event{
	{"the wall clock moves", (*model).moveWallClock},
	{"the monotonic clock moves", (*model).moveMonotonicClock},
	{"time passes", (*model).moveBothClocks},
	possible("the wall clock reaches the end of serving", isServing, func(m *model) { m.reachEnd(wallClock, (*model).moveWallClock) }),
	possible("the monotonic clock reaches the end of serving", isServing, func(m *model) { m.reachEnd(monotonicClock, (*model).moveMonotonicClock) }),
	possible("the attempt succeeds", isRunning, func(m *model) { m.finish(m.succeed) }),
	possible("the attempt returns the same credentials", isRunning, func(m *model) { m.finish(m.repeat) }),
	possible("the attempt fails", isRunning, func(m *model) { m.finish(m.fail) }),
	possible("the attempt hangs", isInTime, func(m *model) { m.pass(time.Until(m.limit)) }),
	possible("a caller comes", noCallerWaits, (*model).retrieve),
	possible("the caller leaves", isWaiting, func(m *model) { m.leave() }),
	possible("a caller of a view comes", isOpen, (*model).retrieveView),
	possible("Wake", isOpen, (*model).wake),
	possible("Refresh", isOpen, (*model).refresh),
	possible("Replace", isServing, (*model).replace),
	possible("Invalidate", isServing, (*model).invalidate),
	possible("Close", isOpen, func(m *model) { _ = m.close() }),
}

func (m *model) wake() {
	m.woken = true
	m.cache.Wake()
}

func (m *model) refresh() {
	m.requested = true
	_ = m.cache.Refresh(ended)
}

func (m *model) replace() {
	m.requested = true
	_ = m.cache.Replace(ended, m.creds, modelMinAge)
}

func (m *model) retrieveView() {
	m.requested = true
	if m.view == nil {
		m.view = m.cache.MinTTL(modelMinTTL)
	}
	creds, err := m.view.Retrieve(ended)
	m.checkResult(creds, err, modelMinTTL)
}

func (m *model) invalidate() {
	m.grant = nil
	m.cache.Invalidate(m.creds)
}

// state identifies a state of the model: in equal states, the same events have the same effects. All
// moments that have been reached are equal.
type state struct {
	phase                                               phase
	failures                                            int
	repeated, first, waiting, view, served              bool
	closed, running, overdue, rejected, replaces, woken bool
	requested                                           bool
	pending                                             pending
	wall, elapsed                                       [14]time.Duration // until each moment; 0 if it has passed, -1 if there is none
}

func (m *model) state() state {
	moments, now := append(m.moments(), m.required()...), m.cache.now()
	m.cache.mu.Lock()
	defer m.cache.mu.Unlock()
	s, sched := m.cache.state.Load(), &m.cache.scheduler
	st := state{
		phase: s.phase, failures: s.failures, repeated: s.repeated, first: sched.started == 0, waiting: m.caller != nil,
		view: m.view != nil, served: m.grant != nil, closed: m.closed != nil, running: m.awaits, overdue: m.overdue,
		woken: m.woken, requested: m.requested, pending: sched.pending,
	}
	if sched.attempt != nil {
		st.rejected, st.replaces = sched.attempt.rejected, sched.attempt.replaces != ""
	}
	for i, at := range moments {
		st.wall[i], st.elapsed[i] = max(wallClock(at, now), 0), max(monotonicClock(at, now), 0)
		if at.Wall == math.MaxInt64 {
			st.wall[i] = -1
		}
		if at == schedule.Never() {
			st.elapsed[i] = -1
		}
	}
	return st
}

// exploration is a search through the states of the model.
type exploration struct {
	t         *testing.T
	length    int                // the length of the longest sequences explored
	sequences int                // number of sequences up to that length
	next      map[state][]state  // successors of each state, one per event
	reached   map[state]struct{} // states that were checked
}

// run performs the events of a path and checks the promises. It returns the final state, and false if
// the last event is impossible.
func (x *exploration) run(path []int) (end state, ok bool) {
	m := newModel()
	ok = true
	for _, i := range path {
		ok = modelEvents[i].do(m)
		m.wait()
		m.check()
	}
	end = m.state()
	if _, known := x.reached[end]; ok && !known {
		x.reached[end] = struct{}{}
		m.finally()
	}
	m.discard()
	if m.violation != nil {
		names := make([]string, len(path))
		for i, e := range path {
			names[i] = modelEvents[e].name
		}
		require.FailNow(x.t, m.violation.Error(), "after: %s; explored %s", strings.Join(names, ", "), x)
	}
	return end, ok
}

// node is a state and the first path that led to it.
type node struct {
	state state
	path  []int
}

// explore runs every sequence of up to length events, except for those that continue a sequence
// leading to a state that was already reached.
func (x *exploration) explore(length int) {
	start, _ := x.run(nil)
	frontier := []node{{state: start}}
	ways := map[state]int{start: 1} // number of sequences of the current length that lead to each state
	for range length {
		var found []node
		for _, n := range frontier {
			found = append(found, x.expand(n)...)
		}
		frontier = found
		longer := map[state]int{}
		for from, count := range ways {
			for _, to := range x.next[from] {
				longer[to] += count
				x.sequences += count
			}
		}
		ways = longer
		x.length++
	}
}

// expand runs the path of n followed by each event. It returns the newly reached states.
func (x *exploration) expand(n node) (found []node) {
	for i := range modelEvents {
		path := append(slices.Clone(n.path), i)
		before := len(x.reached)
		end, ok := x.run(path)
		if !ok {
			continue
		}
		x.next[n.state] = append(x.next[n.state], end)
		if len(x.reached) > before {
			found = append(found, node{end, path})
		}
	}
	return found
}

// String describes how much was explored.
func (x *exploration) String() string {
	return fmt.Sprintf("%d states, and all %d sequences of up to %d events", len(x.reached), x.sequences, x.length)
}

// TestCacheKeepsPromisesInEveryState explores every sequence of up to six events, or eight in its long
// form. It runs the real code, with a source controlled by the events.
func TestCacheKeepsPromisesInEveryState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := &exploration{t: t, next: map[state][]state{}, reached: map[state]struct{}{}}
		x.explore(testsize.Choose(5, 6, 8))
		t.Logf("explored %s", x)
	})
}
