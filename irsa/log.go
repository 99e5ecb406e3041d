package irsa

import (
	"context"
	"log/slog"
)

// log logs a message. The handler is code of the application, so it runs in a separate
// goroutine: neither a panic nor a runtime.Goexit in it affects the caller.
func (c *sharedConfig) log(level slog.Level, message string, args ...any) {
	written := make(chan struct{})
	go func() {
		defer close(written)
		defer func() { _ = recover() }()
		c.Logger.Log(context.Background(), level, message, args...)
	}()
	<-written
}
