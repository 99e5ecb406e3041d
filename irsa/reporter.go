package irsa

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"

	"github.com/irsakit/irsakit/internal/exchange"
	"github.com/irsakit/irsakit/internal/notify"
)

// reporter sends log messages to Options.Logger and events to Options.Observe.
type reporter struct {
	logger  *slog.Logger // nil means slog.Default() at the time of a message
	observe func(Event)  // nil if not set
	events  notify.Queue[func() Event]
	lines   notify.Queue[func()]
	closed  atomic.Bool // the Provider or Pool is closed; evicted Providers can outlive it
}

// log logs a message. The handler is user code and runs in a separate goroutine, so that a panic or
// runtime.Goexit in it does not affect the caller.
func (r *reporter) log(level slog.Level, message string, args ...any) {
	written := make(chan struct{})
	go func() {
		defer close(written)
		defer func() { _ = recover() }()
		cmp.Or(r.logger, slog.Default()).Log(context.Background(), level, message, args...)
	}()
	<-written
}

// logLater is like log, but does not wait. A handler that sends log messages with a client of the
// Provider may itself be waiting for the caller.
func (r *reporter) logLater(level slog.Level, message string, args ...any) {
	r.lines.Put(func() { r.log(level, message, args...) }, func(write func()) { write() })
}

// warn logs warnings about the settings.
func (r *reporter) warn(texts []string) {
	for _, text := range texts {
		r.log(slog.LevelWarn, "irsa: "+text)
	}
}

// event queues an event for Options.Observe. It is a no-op if Observe is nil or after Close. The
// function runs in the queue's goroutine, and may call application code.
func (r *reporter) event(event func() Event) {
	if r.observe != nil {
		r.events.Put(event, r.deliver)
	}
}

// deliver calls Options.Observe and logs any panic.
func (r *reporter) deliver(event func() Event) {
	defer func() {
		if p := recover(); p != nil {
			err := exchange.RedactTokens(fmt.Errorf("%v", p))
			r.log(slog.LevelError, "credentials observer panicked", "panic", err.Error(), "stack", string(debug.Stack()))
		}
	}()
	r.observe(event())
}
