// Package follow lets a source in this module react to the attempts of the cache.Cache
// that uses it.
package follow

import (
	"context"
	"log/slog"
)

// Outcome is the result of an attempt.
type Outcome struct {
	Err error // nil if the attempt succeeded
}

// Source is a source that follows its Cache. Other modules cannot implement it, because
// they cannot name [Outcome]. E is cache.Event, which this package cannot import.
type Source[E any] interface {
	// Completed is called after each attempt that is reported as an event. The Cache has
	// stored the result and does not hold its lock. Callers do not wait for Completed, but
	// the attempt keeps its Limiter slot until Completed returns, so it must not block.
	Completed(Outcome)

	// Explain returns the error for a caller of a view, instead of the Cache's error. ctx
	// is the caller's context.
	Explain(ctx context.Context, err error) error

	// Serve is called with the access key ID of new credentials before the Cache serves
	// them. It is not called for credentials that the Cache discards. The Cache holds its
	// lock, so Serve must not call the Cache or user code.
	Serve(accessKeyID string)

	// Record queues an event for the application, instead of cache.Options.Observe. Events
	// are recorded in order. The Cache holds its lock, so Record must not call the Cache or
	// user code.
	Record(event E)

	// Logger returns the logger for the Cache's messages, instead of cache.Options.Logger.
	// It may call user code, because the Cache calls it in the goroutine that writes the
	// message.
	Logger() *slog.Logger
}
