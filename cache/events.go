package cache

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/irsakit/irsakit/internal/follow"
	"github.com/irsakit/irsakit/internal/notify"
	"github.com/irsakit/irsakit/internal/schedule"
)

// Event reports that an attempt has completed, or that credentials were withdrawn. It contains no
// secret.
type Event struct {
	Time      time.Time     // on the local wall clock
	Took      time.Duration // duration of the attempt; 0 if Withdrawn
	Withdrawn bool          // the credentials were withdrawn by Cache.Invalidate
	Status    Status        // the status after the event; its Err is the error of a failed attempt
}

// report reports an event: it adds the time and the status, and logs a change of health. c.mu is held.
func (c *Cache) report(e Event) {
	s, now := c.state.Load(), c.now()
	e.Time, e.Status = time.Unix(0, now.Wall), c.status(s, now)
	c.events.setHealth(c.healthOf(s, now), e.Status)
	if c.events.record != nil {
		c.events.record(e)
	}
}

// reportCallerFailed logs that a caller gets an error. The failed attempt has logged that already,
// unless there were still valid credentials then. c.mu is held.
func (c *Cache) reportCallerFailed() {
	if c.events.health != callersFailing {
		c.events.setHealth(callersFailing, c.Status())
	}
}

// health is the health as last logged. Each change of it is logged.
type health int

const (
	healthy        health = iota
	failing               // a refresh has failed
	callersFailing        // callers get errors, too
)

// healthOf returns the health in a state. c.mu is held.
func (c *Cache) healthOf(s *snapshot, now schedule.Moment) health {
	pending := s.failures == 0 && (c.scheduler.attempt != nil || s.due.Reached(now)) // an attempt runs or is due, and none has failed
	switch {
	case s.problem() == nil:
		return healthy
	case s.serves(now, 0) || s.starting() || pending:
		return failing
	default:
		return callersFailing
	}
}

// events delivers events to the logger and to the application's observer, asynchronously. It has no
// reference to the Cache, which may be garbage collected first.
type events struct {
	logger       *slog.Logger
	logs         notify.Queue[line]
	health       health              // as last logged
	record       func(Event)         // queues an event for the application; nil if it has no observer
	observations notify.Queue[Event] // used unless the source follows the Cache
}

// newEvents returns events for the observer of opts, or for the queue of a follower.
func newEvents(opts Options, follower follow.Source[Event]) *events {
	e := &events{logger: opts.Logger}
	switch {
	case follower != nil:
		e.record = follower.Record
	case opts.Observe != nil:
		observe := e.guarded(opts.Observe)
		e.record = func(event Event) { e.observations.Put(event, observe) }
	}
	return e
}

// guarded returns a function that calls observe and logs a panic in it.
func (e *events) guarded(observe func(Event)) func(Event) {
	return func(event Event) {
		defer func() {
			if r := recover(); r != nil {
				e.write(line{slog.LevelError, "credentials observer panicked", []any{"panic", fmt.Sprint(r), "stack", string(debug.Stack())}})
			}
		}()
		observe(event)
	}
}

// line is a line of the log.
type line struct {
	level   slog.Level
	message string
	args    []any
}

// setHealth logs a change of the health. Callers that fail continue to do so until a success.
func (e *events) setHealth(now health, s Status) {
	before := e.health
	if now == failing {
		now = max(failing, before)
	}
	if e.health = now; now != before {
		e.logs.Put(lineOf(now, s), e.write)
	}
}

// lineOf returns the line for a change of the health. A failure has the time of the next attempt,
// unless the next caller starts it because there are no valid credentials.
func lineOf(now health, s Status) line {
	l := line{slog.LevelWarn, "credentials refresh failed", []any{"error", s.Err}}
	switch {
	case now == healthy:
		return line{slog.LevelInfo, "credentials refresh recovered", []any{"serving_until", s.Expires}}
	case now == callersFailing:
		l = line{slog.LevelError, "no valid credentials", append(l.args, "failures", s.Failures)}
	case s.State == Empty:
		l.message = "first credentials failed, trying again"
	case s.Failures == 0:
		l.message = "credentials refused"
	default:
		l.args = append(l.args, "serving_until", s.Expires)
	}
	if !s.NextAttempt.IsZero() {
		l.args = append(l.args, "next_attempt", s.NextAttempt)
	}
	return l
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
