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

// path is where the credentials are.
const path = "/credentials"

// patience is how long a request waits for first credentials: SDKs give up after a second
// or a few, and ask again.
const patience = 5 * time.Second

// endpoint answers as the SDKs expect of a container's credentials: "Container credential
// provider" of the AWS SDKs and Tools Reference Guide.
type endpoint struct {
	provider      *irsa.Provider
	authorization authorization
	hosts         []string    // that it is asked by
	broken        atomic.Bool // the log knows that there is no authorization token
}

// credentials are the answer.
type credentials struct {
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	Token           string
	AccountID       string `json:"AccountId,omitempty"`
	RoleArn         string
	Expiration      time.Time
}

// refusal is the answer instead.
type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// ServeHTTP gives credentials to whoever brings the token.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A page in a browser can have its own name lead to the loopback address.
	if !slices.Contains(e.hosts, r.Host) {
		refuse(w, http.StatusForbidden, "Forbidden", "the Host header does not name a loopback address of this endpoint")
		return
	}
	allowed, err := e.authorization.allows(r.Header.Get("Authorization"))
	e.note(err)
	switch {
	case err != nil:
		refuse(w, http.StatusInternalServerError, "AuthorizationTokenUnavailable", "the endpoint cannot read its authorization token")
	case !allowed:
		refuse(w, http.StatusUnauthorized, "Unauthorized", "bring the token of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE as the header Authorization")
	case r.URL.Path != path:
		refuse(w, http.StatusNotFound, "NotFound", "ask for "+path)
	case r.ContentLength != 0:
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "ask without a body")
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "ask with GET")
	default:
		e.give(w, r)
	}
}

// note has a line in the log where there begins to be no authorization token, however many
// ask, and where there is one again.
func (e *endpoint) note(err error) {
	broken := err != nil
	switch {
	case e.broken.Swap(broken) == broken:
	case broken:
		slog.Error("no authorization token", "error", err)
	default:
		slog.Info("there is an authorization token again")
	}
}

func (e *endpoint) give(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	c, err := e.provider.Retrieve(ctx)
	if err != nil { // the reason is in the log of the Provider
		refuse(w, http.StatusServiceUnavailable, "CredentialsUnavailable", "there are no credentials at the moment; the log of the sidecar says why")
		return
	}
	write(w, http.StatusOK, credentials{
		AccessKeyID:     c.AccessKeyID,
		SecretAccessKey: c.SecretAccessKey,
		Token:           c.SessionToken,
		AccountID:       c.AccountID,
		RoleArn:         e.provider.Status().RoleARN,
		Expiration:      c.Expires.UTC().Truncate(time.Second),
	})
}

// refuse ends the connection too: who gets nothing must not hold a place that others
// wait for.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Connection", "close")
	write(w, status, refusal{code, message})
}

func write(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // a client that has gone
}
