package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
)

// probe is how long a readiness probe waits for credentials: less than the second that the
// kubelet gives it.
const probe = 500 * time.Millisecond

// live answers the liveness probe. A restart mends no credentials, and throws away what is
// still valid.
func live(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "alive") }

// ready answers the readiness probe: whether there are credentials to give. It asks for
// them itself, since where there are none they are tried for only while somebody asks.
func ready(p *irsa.Provider) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), probe)
		defer cancel()
		_, _ = p.Retrieve(ctx) // Healthy says more
		switch err := p.Healthy(); {
		case err == nil:
			say(w, http.StatusOK, "ready")
		case errors.Is(err, cache.ErrFailing):
			say(w, http.StatusOK, "ready, but refreshing fails")
		default: // the reason, with the role, is in the log
			say(w, http.StatusServiceUnavailable, "there are no credentials")
		}
	}
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}
