package irsa

import (
	"context"
	"log/slog"
)

// log writes a line. The handler is foreign code, so it runs in a goroutine of its own:
// neither a panic nor a runtime.Goexit in it ends what else the caller does.
func (s *shared) log(level slog.Level, message string, args ...any) {
	written := make(chan struct{})
	go func() {
		defer close(written)
		defer func() { _ = recover() }()
		s.Logger.Log(context.Background(), level, message, args...)
	}()
	<-written
}
