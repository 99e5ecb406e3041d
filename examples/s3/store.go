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

// store is an S3 in memory. It serves requests that are signed with credentials of its
// STS, and nobody else.
type store struct {
	sts   stscreds.AssumeRoleWithWebIdentityAPIClient
	ahead atomic.Int64 // its clock, by so many nanoseconds

	mu      sync.Mutex
	issued  map[string]types.Credentials // by the sts, by access key
	objects map[string][]byte            // by path
}

// AssumeRoleWithWebIdentity is the STS's. The store remembers the credentials.
func (s *store) AssumeRoleWithWebIdentity(ctx context.Context, in *sts.AssumeRoleWithWebIdentityInput, optFns ...func(*sts.Options)) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	out, err := s.sts.AssumeRoleWithWebIdentity(ctx, in, optFns...)
	if err == nil {
		s.mu.Lock()
		s.issued[*out.Credentials.AccessKeyId] = *out.Credentials
		s.mu.Unlock()
	}
	return out, err
}

// now is the time by the store's clock.
func (s *store) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

// sessions returns the credentials that there are so far.
func (s *store) sessions() map[string]types.Credentials {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.issued)
}

// ServeHTTP stores and returns objects.
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		refuse(w, http.StatusBadRequest, "IncompleteBody", "The body did not arrive.")
		return
	}
	if code, message := s.check(r, body); code != "" {
		refuse(w, http.StatusForbidden, code, message)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	object, found := s.objects[r.URL.Path]
	switch {
	case r.Method == http.MethodPut:
		s.objects[r.URL.Path] = body
	case r.Method != http.MethodGet:
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	case !found:
		refuse(w, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	default:
		w.Header().Set("Content-Length", strconv.Itoa(len(object)))
		_, _ = w.Write(object) // a client that goes away knows it
	}
}

// refuse answers with an error as S3 does.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message><RequestId>1</RequestId></Error>`, code, message)
}
