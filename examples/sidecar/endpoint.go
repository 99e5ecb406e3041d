package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/irsakit/irsakit/irsa"
)

// path is the URL path of the credentials.
const path = "/credentials"

// retrieveTimeout limits how long a request waits for the first credentials. SDKs time out
// after one to a few seconds and retry.
const retrieveTimeout = 5 * time.Second

// endpoint is an HTTP handler that implements the protocol of the SDKs' container credential
// provider. See "Container credential provider" in the AWS SDKs and Tools Reference Guide.
type endpoint struct {
	provider      *irsa.Provider
	authorization authorization
	hosts         []string    // accepted Host headers
	noToken       atomic.Bool // whether the missing authorization token has been logged
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

// errorResponse is the response to a rejected request.
type errorResponse struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// ServeHTTP responds with the credentials if the request contains the token.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// With DNS rebinding, the name of a web page can resolve to the loopback address.
	if !slices.Contains(e.hosts, r.Host) {
		reject(w, http.StatusForbidden, "Forbidden", "the Host header does not name a loopback address of this endpoint")
		return
	}
	allowed, err := e.authorization.allows(r.Header.Get("Authorization"))
	e.logToken(err)
	switch {
	case err != nil:
		reject(w, http.StatusInternalServerError, "AuthorizationTokenUnavailable", "the endpoint cannot read its authorization token")
	case !allowed:
		reject(w, http.StatusUnauthorized, "Unauthorized", "bring the token of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE as the header Authorization")
	case r.URL.Path != path:
		reject(w, http.StatusNotFound, "NotFound", "ask for "+path)
	case r.ContentLength != 0:
		reject(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "ask without a body")
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		reject(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "ask with GET")
	default:
		e.serveCredentials(w, r)
	}
}

// logToken logs when the authorization token becomes unreadable and when it is readable
// again, but not for each request in between.
func (e *endpoint) logToken(err error) {
	noToken := err != nil
	switch {
	case e.noToken.Swap(noToken) == noToken:
	case noToken:
		slog.Error("no authorization token", "error", err)
	default:
		slog.Info("there is an authorization token again")
	}
}

func (e *endpoint) serveCredentials(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), retrieveTimeout)
	defer cancel()
	c, err := e.provider.Retrieve(ctx)
	if err != nil { // the Provider logs the cause
		reject(w, http.StatusServiceUnavailable, "CredentialsUnavailable", "there are no credentials at the moment; the log of the sidecar says why")
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

// reject writes an error and closes the connection, so that a rejected client does not
// occupy a connection that others wait for.
func reject(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Connection", "close")
	writeJSON(w, status, errorResponse{code, message})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails only if the client has disconnected
}
