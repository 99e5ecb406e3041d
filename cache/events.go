package cache

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/irsakit/irsakit/internal/follow"
	"github.com/irsakit/irsakit/internal/notify"
)

// Event reports that an attempt has completed, or that credentials were withdrawn. It contains no
// secret.
type Event struct {
	Time      time.Time     // on the local wall clock
	Took      time.Duration // duration of the attempt; 0 if Withdrawn
	Withdrawn bool          // the credentials were withdrawn by Cache.Invalidate
	Status    Status        // the status after the event; its Err is the error of a failed attempt

	callersFail bool // callers get errors
}

// event returns an Event for the current state.
func (c *Cache) event() Event {
	s, now := c.state.Load(), c.now()
	pending := s.failures == 0 && (c.scheduler.attempt != nil || s.due.Reached(now)) // an attempt runs or is due, and none has failed
	return Event{
		Time:        time.Unix(0, now.Wall),
		Status:      c.status(s, now),
		callersFail: s.problem() != nil && !s.serves(now, 0) && !s.starting() && !pending,
	}
}

// events delivers events to the logger and to the application's observer, asynchronously. It has no
// reference to the Cache, which may be garbage collected first.
type events struct {
	logger       *slog.Logger
	logs         notify.Queue[line]
	health       health      // as last logged
	record       func(Event) // queues an event for the application; nil if it has no observer
	observe      func(Event)
	observations notify.Queue[Event]
}

// newEvents returns events for the observer of opts, or for the queue of a follower.
func newEvents(opts Options, follower follow.Source[Event]) *events {
	e := &events{logger: opts.Logger, observe: opts.Observe}
	switch {
	case follower != nil:
		e.record = follower.Record
	case opts.Observe != nil:
		e.record = func(event Event) { e.observations.Put(event, e.callObserver) }
	}
	return e
}

// put queues an event. Calls must be serialized.
func (e *events) put(event Event) {
	if l, ok := e.transition(event); ok {
		e.logs.Put(l, e.write)
	}
	if e.record != nil {
		e.record(event)
	}
}

// callerFailed logs that a caller gets an error. The failed attempt has logged that already, unless
// there were still valid credentials then.
func (e *events) callerFailed(event func() Event) {
	if e.health == callersFailing {
		return
	}
	now := event()
	now.callersFail = true
	if l, ok := e.transition(now); ok {
		e.logs.Put(l, e.write)
	}
}

func (e *events) callObserver(event Event) {
	defer func() {
		if r := recover(); r != nil {
			e.write(line{slog.LevelError, "credentials observer panicked", []any{"panic", fmt.Sprint(r), "stack", string(debug.Stack())}})
		}
	}()
	e.observe(event)
}

// health is the health as last logged. Each change of it is logged.
type health int

const (
	healthy        health = iota
	failing               // a refresh has failed
	callersFailing        // callers get errors, too
)

// line is a line of the log.
type line struct {
	level   slog.Level
	message string
	args    []any
}

// transition records the health after an event. It returns a line and true if it has changed.
func (e *events) transition(event Event) (line, bool) {
	s := event.Status
	now := healthy
	switch {
	case event.callersFail:
		now = callersFailing
	case s.Err != nil:
		now = max(failing, e.health)
	}
	before := e.health
	e.health = now
	switch {
	case now == before:
		return line{}, false
	case now == callersFailing:
		return failureLine(slog.LevelError, "no valid credentials", s, "failures", s.Failures), true
	case now == failing && s.State == Empty:
		return failureLine(slog.LevelWarn, "first credentials failed, trying again", s), true
	case now == failing && s.Failures == 0:
		return failureLine(slog.LevelWarn, "credentials refused", s), true
	case now == failing:
		return failureLine(slog.LevelWarn, "credentials refresh failed", s, "serving_until", s.Expires), true
	default:
		return line{slog.LevelInfo, "credentials refresh recovered", []any{"serving_until", s.Expires}}, true
	}
}

// failureLine returns the line for a failure. It includes the time of the next attempt, unless the
// next caller starts it because there are no valid credentials.
func failureLine(level slog.Level, message string, s Status, args ...any) line {
	args = append([]any{"error", s.Err}, args...)
	if !s.NextAttempt.IsZero() {
		args = append(args, "next_attempt", s.NextAttempt)
	}
	return line{level, message, args}
}

// write logs a line. The handler is foreign code. A panic in it must not end the process, and
// cannot be reported.
func (e *events) write(l line) {
	defer func() { _ = recover() }()
	logger := e.logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.Log(context.Background(), l.level, l.message, l.args...)
}
