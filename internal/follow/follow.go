// Package follow connects a cache.Cache to a source in this module that acts on the
// outcomes of its attempts.
package follow

import (
	"context"
	"log/slog"
)

// Outcome is the outcome of an attempt.
type Outcome struct {
	Err error // nil if the attempt succeeded
}

// Source is a source that follows its Cache. Other modules cannot implement it, because
// they cannot name [Outcome]. E is cache.Event, which this package cannot import.
type Source[E any] interface {
	// Completed is called after each attempt that is reported as an event. The Cache has
	// stored the outcome and holds no lock. No caller waits for Completed, but the attempt
	// keeps its slot of the Limiter until Completed returns, so it must not block.
	Completed(Outcome)

	// Explain returns the error for a caller of a view, in place of the Cache's. ctx is the caller's.
	Explain(ctx context.Context, err error) error

	// Serve is called before the Cache serves new credentials, with their access key ID. It is
	// not called for credentials that the Cache discards. The Cache holds its lock, so Serve must
	// not call the Cache or user code.
	Serve(accessKeyID string)

	// Record queues an event for the application, in place of cache.Options.Observe. Calls
	// are made in the order of the events. The Cache holds its lock, so Record must not
	// call the Cache or user code.
	Record(event E)

	// Logger returns the logger for the Cache's messages, in place of cache.Options.Logger. It
	// may call user code: the Cache calls it in the goroutine that writes the message.
	Logger() *slog.Logger
}
