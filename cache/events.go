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
	logs    *notify.Queue[Event]
	health  health // of which the log was last told
	observe func(Event)
	tells   *notify.Queue[Event]
}

func newEvents(opts Options) *events {
	e := &events{logger: opts.Logger, observe: opts.Observe}
	e.logs, e.tells = notify.NewQueue(e.log), notify.NewQueue(e.tell)
	return e
}

func (e *events) put(event Event) {
	e.logs.Put(event)
	if e.observe != nil {
		e.tells.Put(event)
	}
}

func (e *events) tell(event Event) {
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
		e.failed(slog.LevelError, "no valid credentials", s, "failures", s.Failures)
	case now == failing && s.State == Empty:
		e.failed(slog.LevelWarn, "first credentials failed, trying again", s)
	case now == failing && s.Failures == 0:
		e.failed(slog.LevelWarn, "credentials refused", s)
	case now == failing:
		e.failed(slog.LevelWarn, "credentials refresh failed", s, "serving_until", s.Expires)
	default:
		e.write(slog.LevelInfo, "credentials refresh recovered", "serving_until", s.Expires)
	}
}

// failed logs a failure, with the time of the next attempt where one is set: with
// nothing to serve, the next caller begins it.
func (e *events) failed(level slog.Level, message string, s Status, args ...any) {
	args = append([]any{"error", s.Err}, args...)
	if !s.NextAttempt.IsZero() {
		args = append(args, "next_attempt", s.NextAttempt)
	}
	e.write(level, message, args...)
}

func (e *events) write(level slog.Level, message string, args ...any) {
	logger := e.logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.Log(context.Background(), level, message, args...)
}
