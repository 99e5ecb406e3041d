package irsa_test

import (
	"bytes"
	"log/slog"
	"sync"

	"github.com/irsakit/irsakit/irsa"
)

// recorder collects the log lines and events of a Provider.
type recorder struct {
	mu     sync.Mutex
	events []irsa.Event
	lines  bytes.Buffer
}

func (r *recorder) options(o *irsa.Options) {
	o.Logger = slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.Observe = func(e irsa.Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, e)
	}
}

func (r *recorder) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines.Write(line)
}

func (r *recorder) log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines.String()
}

func (r *recorder) count(kind irsa.EventKind) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}
