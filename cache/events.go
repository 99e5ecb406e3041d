package cache

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/irsakit/irsakit/internal/notify"
)

// Event tells that an attempt has ended, or that a service refused the credentials.
// It holds no secret.
type Event struct {
	Time    time.Time     // on the local wall clock
	Took    time.Duration // the attempt's time, 0 for refused credentials
	Refused bool          // it is refused credentials, see Cache.Invalidate
	Status  Status        // after it; of an attempt that failed, Status.Err is why

	hurts bool // callers get errors now
}

// event returns an Event of the present state.
func (c *Cache) event() Event {
	s, now := c.state.Load(), c.now()
	waits := s.failures == 0 && (c.plan.call != nil || s.due.Reached(now)) // for an attempt, without an error
	return Event{
		Time:   time.Unix(0, now.Wall),
		Status: c.status(s, now),
		hurts:  s.err != nil && !s.serves(now, 0) && !s.starting() && !waits,
	}
}

// events brings events to the logger and, at his own pace, to the observer. It does
// not know the Cache, which may be gone.
type events struct {
	logger  *slog.Logger
	logs    notify.Queue[line]
	health  health // of which the log was last told
	observe func(Event)
	tells   notify.Queue[Event]
}

func newEvents(opts Options) *events {
	return &events{logger: opts.Logger, observe: opts.Observe}
}

// put takes an event. Its callers take turns.
func (e *events) put(event Event) {
	if l, ok := e.news(event); ok {
		e.logs.Put(l, e.write)
	}
	if e.observe != nil {
		e.tells.Put(event, e.tell)
	}
}

// hurts is called where a caller gets an error. The log has been told of it with the
// attempt that failed, unless that was while there still were credentials.
func (e *events) hurts(event func() Event) {
	if e.health == hurting {
		return
	}
	now := event()
	now.hurts = true
	if l, ok := e.news(now); ok {
		e.logs.Put(l, e.write)
	}
}

func (e *events) tell(event Event) {
	defer func() {
		if r := recover(); r != nil {
			e.write(line{slog.LevelError, "credentials observer panicked", []any{"panic", fmt.Sprint(r), "stack", string(debug.Stack())}})
		}
	}()
	e.observe(event)
}

// health is what the log was last told of. The log gets a line where it changes.
type health int

const (
	good    health = iota
	failing        // a refresh failed
	hurting        // and callers get errors
)

// line is one of the log.
type line struct {
	level   slog.Level
	message string
	args    []any
}

// news returns the line for an event that changes the health.
func (e *events) news(event Event) (line, bool) {
	s := event.Status
	now := good
	switch {
	case event.hurts:
		now = hurting
	case s.Err != nil:
		now = max(failing, e.health)
	}
	before := e.health
	e.health = now
	switch {
	case now == before:
		return line{}, false
	case now == hurting:
		return failed(slog.LevelError, "no valid credentials", s, "failures", s.Failures), true
	case now == failing && s.State == Empty:
		return failed(slog.LevelWarn, "first credentials failed, trying again", s), true
	case now == failing && s.Failures == 0:
		return failed(slog.LevelWarn, "credentials refused", s), true
	case now == failing:
		return failed(slog.LevelWarn, "credentials refresh failed", s, "serving_until", s.Expires), true
	default:
		return line{slog.LevelInfo, "credentials refresh recovered", []any{"serving_until", s.Expires}}, true
	}
}

// failed is the line for a failure, with the time of the next attempt where one is set:
// with nothing to serve, the next caller begins it.
func failed(level slog.Level, message string, s Status, args ...any) line {
	args = append([]any{"error", s.Err}, args...)
	if !s.NextAttempt.IsZero() {
		args = append(args, "next_attempt", s.NextAttempt)
	}
	return line{level, message, args}
}

// write logs a line. The handler is foreign code: a panic in it must not end the process, and
// there is nowhere to report it.
func (e *events) write(l line) {
	defer func() { _ = recover() }()
	logger := e.logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.Log(context.Background(), l.level, l.message, l.args...)
}
