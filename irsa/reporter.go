package irsa

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"

	"github.com/irsakit/irsakit/internal/notify"
)

// reporter reports to the Logger and the Observe of Options.
type reporter struct {
	logger  *slog.Logger // nil means slog.Default() at the time of a message
	observe func(Event)  // nil if not set
	events  notify.Queue[func() Event]
	lines   notify.Queue[func()]
	closed  atomic.Bool // the Provider or Pool is closed; evicted Providers can outlive it
}

// log logs a message. The handler is user code, so it runs in a separate goroutine: neither a
// panic nor a runtime.Goexit in it affects the caller.
func (r *reporter) log(level slog.Level, message string, args ...any) {
	written := make(chan struct{})
	go func() {
		defer close(written)
		defer func() { _ = recover() }()
		cmp.Or(r.logger, slog.Default()).Log(context.Background(), level, message, args...)
	}()
	<-written
}

// logLater logs a message in a separate goroutine and does not wait for it. The handler may itself
// wait for the caller, if it sends log messages with a client that uses the Provider.
func (r *reporter) logLater(level slog.Level, message string, args ...any) {
	r.lines.Put(func() { r.log(level, message, args...) }, func(write func()) { write() })
}

// warn logs warnings about the settings.
func (r *reporter) warn(texts []string) {
	for _, text := range texts {
		r.log(slog.LevelWarn, "irsa: "+text)
	}
}

// event queues an event for Options.Observe, if that is set, until Close is called. The function may
// call code of the application. It runs in the queue's goroutine.
func (r *reporter) event(event func() Event) {
	if r.observe != nil && !r.closed.Load() {
		r.events.Put(event, r.deliver)
	}
}

// deliver calls Options.Observe and logs a panic in it.
func (r *reporter) deliver(event func() Event) {
	defer func() {
		if p := recover(); p != nil {
			r.log(slog.LevelError, "credentials observer panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	r.observe(event())
}
