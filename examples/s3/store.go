package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/aws/smithy-go"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// store is an in-memory S3. It serves only requests signed with credentials from the kit's STS.
type store struct {
	sts *irsatest.STS

	mu      sync.Mutex
	objects map[string][]byte // keyed by path
}

// ServeHTTP stores and returns objects.
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := s.sts.Authenticate(r, "s3"); err != nil {
		writeError(w, http.StatusForbidden, codeOf(err), err.Error())
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		writeError(w, http.StatusBadRequest, "IncompleteBody", "The body did not arrive.")
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

// writeError writes an error in S3's format.
func writeError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message><RequestId>1</RequestId></Error>`, code, message)
}

// codeOf returns S3's error code for an Authenticate error.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
func codeOf(err error) string {
	var failure smithy.APIError
	if !errors.As(err, &failure) {
		return "InternalError"
	}
	switch code := failure.ErrorCode(); code {
	case "MissingAuthenticationToken":
		return "AccessDenied"
	case "InvalidClientTokenId":
		return "InvalidAccessKeyId"
	case "IncompleteSignature":
		return "AuthorizationHeaderMalformed"
	default:
		return code
	}
}
