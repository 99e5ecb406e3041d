package cache

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/follow"
	"github.com/irsakit/irsakit/internal/notify"
	"github.com/irsakit/irsakit/internal/schedule"
)

// Event reports that an attempt has completed, or that credentials were withdrawn. It contains no
// secrets.
type Event struct {
	Time      time.Time     // on the local wall clock
	Took      time.Duration // duration of the attempt; 0 if Withdrawn
	Withdrawn bool          // the credentials were withdrawn by Cache.Invalidate
	Status    Status        // status after the event; if an attempt failed, Status.Err is its error
}

// report adds the time and the status to an event and reports it. It also logs any change in
// health. c.mu must be held.
func (c *Cache) report(e Event) {
	s, now := c.state.Load(), c.now()
	e.Time, e.Status = time.Unix(0, now.Wall), c.status(s, now)
	c.events.setHealth(c.healthOf(s, now), e.Status)
	c.events.record(e)
}

// reportCallerFailed logs that a caller gets an error because s has no valid credentials, unless this
// has already been logged. c.mu must be held.
func (c *Cache) reportCallerFailed(s *snapshot) {
	if now := c.now(); !s.serves(now, 0) {
		c.events.setHealth(callersFailing, c.status(s, now))
	}
}

// health is the health of a Cache. Every change is logged.
type health int

const (
	healthy        health = iota
	failing               // a refresh has failed
	callersFailing        // callers also get errors
)

// healthOf returns the health in state s. c.mu must be held.
func (c *Cache) healthOf(s *snapshot, now schedule.Moment) health {
	// An attempt is running or due, and the last one did not fail.
	pending := s.failures == 0 && (c.scheduler.attempt != nil || s.due.Reached(now))
	switch {
	case s.problem() == nil:
		return healthy
	case s.serves(now, 0) || s.starting() || pending:
		return failing
	default:
		return callersFailing
	}
}

// events asynchronously delivers events to the logger and to the application's observer. It refers to
// the Cache only through a follower, so that the Cache can be garbage collected while events are
// pending.
type events struct {
	logs     notify.Queue[line]
	health   health               // as last logged
	follower follow.Source[Event] // the source, if it implements follow.Source
	observer *observer            // the application's logger and observer; nil if there is a follower
}

// observer contains Options.Logger, and delivers events to Options.Observe, if set.
type observer struct {
	logger  *slog.Logger
	observe func(Event)
	queue   notify.Queue[Event]
}

func newEvents(source aws.CredentialsProvider, opts Options) *events {
	if follower, ok := source.(follow.Source[Event]); ok {
		return &events{follower: follower}
	}
	return &events{observer: &observer{logger: opts.Logger, observe: opts.Observe}}
}

// record queues an event for the follower or the observer. Cache.mu must be held.
func (e *events) record(event Event) {
	switch {
	case e.follower != nil:
		e.follower.Record(event)
	case e.observer.observe != nil:
		e.observer.queue.Put(event, e.observe)
	}
}

// observe calls the observer and logs any panic.
func (e *events) observe(event Event) {
	defer func() {
		if r := recover(); r != nil {
			e.write(line{slog.LevelError, "credentials observer panicked", []any{"panic", fmt.Sprint(r), "stack", string(debug.Stack())}})
		}
	}()
	e.observer.observe(event)
}

// line is a log message.
type line struct {
	level   slog.Level
	message string
	args    []any
}

// setHealth records the health and logs any change. The health remains callersFailing until an
// attempt succeeds.
func (e *events) setHealth(now health, s Status) {
	before := e.health
	if now == failing {
		now = max(failing, before)
	}
	if e.health = now; now != before {
		e.logs.Put(lineOf(now, s), e.write)
	}
}

// lineOf returns the line for a change in health. For a failure, it includes the time of the next
// attempt, except when it starts only on demand.
func lineOf(now health, s Status) line {
	l := line{slog.LevelWarn, "credentials refresh failed", []any{"error", s.Err}}
	switch {
	case now == healthy:
		return line{slog.LevelInfo, "credentials refresh recovered", []any{"serving_until", s.Expires}}
	case now == callersFailing:
		l = line{slog.LevelError, "no valid credentials", append(l.args, "failures", s.Failures)}
	case s.State == Empty:
		l.message = "initial attempt failed, retrying"
	case s.Failures == 0:
		l.message = "credentials withdrawn"
	default:
		l.args = append(l.args, "serving_until", s.Expires)
	}
	if !s.NextAttempt.IsZero() {
		l.args = append(l.args, "next_attempt", s.NextAttempt)
	}
	return l
}

// write logs a line. The handler is user code: a panic in it must not crash the process, and
// cannot be logged.
func (e *events) write(l line) {
	defer func() { _ = recover() }()
	var logger *slog.Logger
	if e.follower != nil {
		logger = e.follower.Logger()
	} else {
		logger = e.observer.logger
	}
	cmp.Or(logger, slog.Default()).Log(context.Background(), l.level, l.message, l.args...)
}
