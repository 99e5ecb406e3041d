// Package probes provides HTTP handlers for the kubelet's probes of a Provider.
package probes

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/examples/observability/bounded"
	"github.com/irsakit/irsakit/irsa"
)

// Patience is how long the readiness probe waits for credentials. It is shorter than the kubelet's
// default timeout of one second.
const Patience = 500 * time.Millisecond

// maxWaiting limits how many readiness probe requests wait for credentials concurrently. Additional
// requests report the current state immediately.
const maxWaiting = 16

// Live handles the liveness probe. It always succeeds, because a restart would not repair
// credentials, and would discard any that are still valid.
func Live(w http.ResponseWriter, r *http.Request) {
	bounded.Protect(r)
	respond(w, http.StatusOK, "alive")
}

// Ready returns a handler for the readiness probe, which reports whether p serves valid credentials.
// The handler itself retrieves credentials. Without valid credentials, a Provider makes attempts only
// for callers, and a pod that is not ready has no other callers.
func Ready(p *irsa.Provider) http.HandlerFunc {
	waiting := make(chan struct{}, maxWaiting)
	return func(w http.ResponseWriter, r *http.Request) {
		bounded.Protect(r)
		select {
		case waiting <- struct{}{}:
			retrieve(r.Context(), p)
			<-waiting
		default:
		}
		switch s := p.Status(); {
		case s.Healthy() == nil:
			respond(w, http.StatusOK, "ready")
		case s.State == cache.Stale: // callers are not affected yet
			respond(w, http.StatusOK, "ready, but refresh is failing")
		case s.State == cache.Empty:
			respond(w, http.StatusServiceUnavailable, "no credentials obtained yet")
		case s.State == cache.Expired:
			respond(w, http.StatusServiceUnavailable, "credentials expired")
		default:
			respond(w, http.StatusServiceUnavailable, "closed")
		}
	}
}

// retrieve waits up to [Patience] for credentials. It ignores the error, because Healthy is more
// specific.
func retrieve(ctx context.Context, p *irsa.Provider) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	_, _ = p.Retrieve(ctx)
}

// respond writes only text. The cause and the role are in the log.
func respond(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}
