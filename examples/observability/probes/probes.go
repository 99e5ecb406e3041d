// Package probes answers the probes of the kubelet for a Provider.
package probes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
)

// Patience is how long a probe waits for credentials: less than the second that the
// kubelet gives it by default.
const Patience = 500 * time.Millisecond

// Live answers the liveness probe: a restart mends nothing here, and throws away
// credentials that may still be valid.
func Live(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "alive") }

// Ready answers the readiness probe: whether there are credentials to serve. The probe is
// a caller too. A pod that is not ready has no others, and where there is nothing to serve
// the Provider tries again only while somebody asks.
func Ready(p *irsa.Provider) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), Patience)
		defer cancel()
		_, _ = p.Retrieve(ctx) // Healthy says more than its error
		switch err := p.Healthy(); {
		case err == nil:
			answer(w, http.StatusOK, "ready")
		case errors.Is(err, cache.ErrFailing): // callers notice nothing yet
			answer(w, http.StatusOK, "ready, but refreshing fails")
		case errors.Is(err, cache.ErrEmpty):
			answer(w, http.StatusServiceUnavailable, "there never were credentials")
		case errors.Is(err, cache.ErrExpired):
			answer(w, http.StatusServiceUnavailable, "there are no valid credentials any more")
		default:
			answer(w, http.StatusServiceUnavailable, "closed")
		}
	}
}

// answer says no more than it must: the reason, with the role, is in the log.
func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}
