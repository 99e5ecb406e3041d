package cache

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/irsakit/irsakit/internal/notify"
	"github.com/irsakit/irsakit/internal/schedule"
)

// Event tells that an attempt has ended, or that a service refused the credentials.
// It holds no secret.
type Event struct {
	Time   time.Time     // on the local wall clock
	Took   time.Duration // the attempt's time, 0 for refused credentials
	Status Status        // after it; Status.Err is the attempt's error, or ErrRefused

	hurts bool // callers get errors now
}

func (c *Cache) event(s *snapshot, now schedule.Moment) Event {
	return Event{
		Time:   time.Unix(0, now.Wall),
		Status: c.status(s, now),
		hurts:  s.failures > 0 && !s.serves(now, 0) && !s.starting(),
	}
}

// events brings events to the logger and the observer. It does not know the Cache,
// which may be gone.
type events struct {
	*notify.Queue[Event]
	logger  *slog.Logger
	observe func(Event)
	health  health // of which the log was last told
}

func newEvents(opts Options) *events {
	e := &events{logger: opts.Logger, observe: opts.Observe}
	e.Queue = notify.NewQueue(func(event Event) {
		e.log(event)
		e.tell(event)
	})
	return e
}

func (e *events) tell(event Event) {
	if e.observe == nil {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			e.write(slog.LevelError, "credentials observer panicked", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
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

func (e *events) log(event Event) {
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
	case now == hurting:
		e.write(slog.LevelError, "no valid credentials", "error", s.Err, "failures", s.Failures, "next_attempt", s.NextAttempt)
	case now == failing && s.State == Empty:
		e.write(slog.LevelWarn, "first credentials failed, trying again", "error", s.Err)
	case now == failing && s.Failures == 0:
		e.write(slog.LevelWarn, "credentials refused", "error", s.Err, "next_attempt", s.NextAttempt)
	case now == failing:
		e.write(slog.LevelWarn, "credentials refresh failed", "error", s.Err, "serving_until", s.Expires, "next_attempt", s.NextAttempt)
	default:
		e.write(slog.LevelInfo, "credentials refresh recovered", "serving_until", s.Expires)
	}
}

func (e *events) write(level slog.Level, message string, args ...any) {
	logger := e.logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.Log(context.Background(), level, message, args...)
}
