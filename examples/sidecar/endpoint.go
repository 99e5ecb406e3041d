package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/irsakit/irsakit/examples/observability/bounded"
	"github.com/irsakit/irsakit/internal/notify"
	"github.com/irsakit/irsakit/irsa"
)

// path is the URL path for credentials.
const path = "/credentials"

// retrieveTimeout limits how long a request waits for the first credentials. SDKs time out after one
// to a few seconds and then retry.
const retrieveTimeout = 5 * time.Second

// endpoint is an HTTP handler that implements the protocol of the SDKs' container credential
// provider. See "Container credential provider" in the AWS SDKs and Tools Reference Guide.
type endpoint struct {
	provider      *irsa.Provider
	authorization authorization
	hosts         []string // accepted Host headers
	rejections    *rejections
	noToken       atomic.Bool         // whether the missing authorization token has been logged
	lines         notify.Queue[error] // what to log about the authorization token
}

// credentials is the response to an authorized request.
type credentials struct {
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	Token           string
	AccountID       string `json:"AccountId,omitempty"`
	RoleArn         string
	Expiration      time.Time
}

// errorResponse is the response to a request without credentials.
type errorResponse struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// ServeHTTP responds with the credentials if the request passes all checks.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rejected := e.check(r); rejected != nil {
		e.rejections.count(rejected.reason)
		if rejected.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", http.MethodGet)
		}
		writeError(w, rejected.status, rejected.code, rejected.message)
		return
	}
	bounded.Protect(r) // only now: a client without the token must not keep a connection
	e.serveCredentials(w, r)
}

// logToken logs when the authorization token becomes unusable and when it becomes usable again, but
// not for each request in between. It does not block on the log.
func (e *endpoint) logToken(err error) {
	if noToken := err != nil; e.noToken.Swap(noToken) != noToken {
		e.lines.Put(err, logTokenError)
	}
}

// logTokenError logs why the authorization token is unusable, or that it is usable again if err is nil.
func logTokenError(err error) {
	if err != nil {
		slog.Error("no authorization token", "error", err)
		return
	}
	slog.Info("authorization token available again")
}

func (e *endpoint) serveCredentials(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), retrieveTimeout)
	defer cancel()
	c, err := e.provider.Retrieve(ctx)
	if err != nil { // logged by the Provider
		writeError(w, http.StatusServiceUnavailable, "CredentialsUnavailable", "no credentials available; see the log of the sidecar")
		return
	}
	writeJSON(w, http.StatusOK, credentials{
		AccessKeyID:     c.AccessKeyID,
		SecretAccessKey: c.SecretAccessKey,
		Token:           c.SessionToken,
		AccountID:       c.AccountID,
		RoleArn:         e.provider.Status().RoleARN,
		Expiration:      c.Expires.UTC().Truncate(time.Second),
	})
}

// writeError writes an error and closes the connection, so that a rejected client does not occupy it.
func writeError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Connection", "close")
	writeJSON(w, status, errorResponse{code, message})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails only if the client has disconnected
}
