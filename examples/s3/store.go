package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// store is an S3 in memory. It serves only requests that are signed with credentials issued
// by its STS.
type store struct {
	sts         stscreds.AssumeRoleWithWebIdentityAPIClient
	clockOffset atomic.Int64 // nanoseconds by which the store's clock is ahead

	mu      sync.Mutex
	issued  map[string]types.Credentials // issued by sts, keyed by access key ID
	objects map[string][]byte            // keyed by path
}

// AssumeRoleWithWebIdentity forwards the request to the STS and records the credentials.
func (s *store) AssumeRoleWithWebIdentity(ctx context.Context, in *sts.AssumeRoleWithWebIdentityInput, optFns ...func(*sts.Options)) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	out, err := s.sts.AssumeRoleWithWebIdentity(ctx, in, optFns...)
	if err == nil {
		s.mu.Lock()
		s.issued[*out.Credentials.AccessKeyId] = *out.Credentials
		s.mu.Unlock()
	}
	return out, err
}

// now returns the time of the store's clock.
func (s *store) now() time.Time { return time.Now().Add(time.Duration(s.clockOffset.Load())) }

// sessions returns the credentials issued so far.
func (s *store) sessions() map[string]types.Credentials {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.issued)
}

// ServeHTTP stores and returns objects.
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		writeError(w, http.StatusBadRequest, "IncompleteBody", "The body did not arrive.")
		return
	}
	if code, message := s.check(r, body); code != "" {
		writeError(w, http.StatusForbidden, code, message)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	object, ok := s.objects[r.URL.Path]
	switch {
	case r.Method == http.MethodPut:
		s.objects[r.URL.Path] = body
	case r.Method != http.MethodGet:
		writeError(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	case !ok:
		writeError(w, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	default:
		w.Header().Set("Content-Length", strconv.Itoa(len(object)))
		_, _ = w.Write(object) // the client notices if the connection breaks
	}
}

// writeError writes an error in the format of S3.
func writeError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message><RequestId>1</RequestId></Error>`, code, message)
}
