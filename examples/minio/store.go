package main

import (
	"encoding/xml"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// store is an in-memory S3. It serves only requests signed with credentials from the STS.
type store struct {
	sts              *irsatest.STS
	signed, unsigned atomic.Int64 // numbers of requests

	mu      sync.Mutex
	objects map[string][]byte // keyed by path
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") == "" {
		s.unsigned.Add(1)
	}
	if _, err := s.sts.Authenticate(r, "s3"); err != nil {
		writeError(w, http.StatusForbidden, "AccessDenied", err.Error())
		return
	}
	s.signed.Add(1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		writeError(w, http.StatusBadRequest, "IncompleteBody", "The body is incomplete.")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	object, ok := s.objects[r.URL.Path]
	switch {
	case r.Method == http.MethodPut:
		s.objects[r.URL.Path] = body
	case !ok:
		writeError(w, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	default:
		w.Header().Set("Last-Modified", "Thu, 26 Nov 2026 12:00:00 GMT")
		_, _ = w.Write(object) // the client notices an incomplete response
	}
}

func writeError(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName       xml.Name `xml:"Error"`
		Code, Message string
	}{Code: code, Message: message})
}
