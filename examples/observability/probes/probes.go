// Package probes provides HTTP handlers for the kubelet's probes of a Provider.
package probes

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
)

// Patience is how long the readiness probe waits for credentials. It is less than the
// kubelet's default timeout of one second.
const Patience = 500 * time.Millisecond

// Live handles the liveness probe. It always succeeds: a restart would not repair
// credentials, and would discard credentials that may still be valid.
func Live(w http.ResponseWriter, _ *http.Request) { respond(w, http.StatusOK, "alive") }

// Ready returns a handler for the readiness probe, which reports whether p serves valid
// credentials. The handler itself retrieves credentials: without valid credentials, a
// Provider makes attempts only for callers, and a pod that is not ready has no others.
func Ready(p *irsa.Provider) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), Patience)
		defer cancel()
		_, _ = p.Retrieve(ctx) // Status is more specific than the error
		switch s := p.Status(); {
		case s.Healthy() == nil:
			respond(w, http.StatusOK, "ready")
		case s.State == cache.Stale: // callers are not affected yet
			respond(w, http.StatusOK, "ready, but refreshing fails")
		case s.State == cache.Empty:
			respond(w, http.StatusServiceUnavailable, "there never were credentials")
		case s.State == cache.Expired:
			respond(w, http.StatusServiceUnavailable, "there are no valid credentials any more")
		default:
			respond(w, http.StatusServiceUnavailable, "closed")
		}
	}
}

// respond writes text only. The cause and the role are in the log.
func respond(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}
