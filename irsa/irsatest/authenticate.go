package irsatest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/smithy-go"
)

// Authenticate verifies the AWS Signature Version 4 of a request to another service, and returns the
// ARN of the session that signed it. It is intended for fakes of that service, such as an HTTP server
// or, in a synctest bubble, an [http.RoundTripper]. service is the service name in the credential
// scope, such as "s3" or "rds-db". The signature is read from the Authorization header or, if the
// request is presigned, from its URL.
//
// If the request is not signed, the signature is wrong or for another service, or the session has
// expired, Authenticate returns a [smithy.APIError] with STS's code. It also does so if the request's
// date differs from the time of the STS by more than 5 minutes. A presigned request is instead valid
// for the time in X-Amz-Expires, or for 15 minutes if it is for STS, but never beyond the end of its
// session. Any region is accepted in the scope.
//
// Authenticate reads the body and replaces it with a copy. A body of more than 16 MiB is an error.
func (s *STS) Authenticate(r *http.Request, service string) (callerARN string, err error) {
	caller, rejected := s.authenticateFor(r, service)
	if rejected != nil {
		return "", &smithy.GenericAPIError{Code: rejected.code, Message: rejected.message, Fault: smithy.FaultClient}
	}
	return caller.user().ARN, nil
}

func (s *STS) authenticateFor(r *http.Request, service string) (*session, *rejection) {
	payload, rejected := payloadOf(r, service)
	if rejected != nil {
		return nil, rejected
	}
	found, rejected := readSignature(r)
	if rejected == nil {
		rejected = found.checkService(service)
	}
	if rejected != nil {
		return nil, rejected
	}
	now := s.now()
	caller, rejected := s.caller(found, now)
	switch {
	case rejected != nil:
		return nil, rejected
	case !found.matches(r.Context(), r, payload, caller):
		return nil, badSignatureV4()
	case !found.presigned || service == "sts":
		return caller, found.checkDate(now)
	default:
		return caller, found.checkExpires(r, now)
	}
}

// payloadOf returns the payload that a request's signature covers: the hash of its body, or a
// placeholder such as UNSIGNED-PAYLOAD from an S3 client. It rejects a body that does not match the
// hash in its header.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
func payloadOf(r *http.Request, service string) (string, *rejection) {
	const maxBody = 16 << 20
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(io.LimitReader(r.Body, maxBody+1))
		if err != nil || len(body) > maxBody {
			return "", invalid("The body cannot be read, or is too large for the kit.")
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	hash, header := hexSHA256(body), r.Header.Get("X-Amz-Content-Sha256")
	switch {
	case header == "" && service == "s3" && r.URL.Query().Has("X-Amz-Signature"):
		return "UNSIGNED-PAYLOAD", nil
	case strings.HasPrefix(header, "UNSIGNED-"), strings.HasPrefix(header, "STREAMING-"):
		return header, nil
	case header != "" && header != hash:
		return "", forbidden("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	return hash, nil
}

// checkExpires rejects a presigned request that is past the expiry in its URL.
func (s signature) checkExpires(r *http.Request, now time.Time) *rejection {
	const week = 7 * 24 * 60 * 60
	seconds, err := strconv.Atoi(r.URL.Query().Get("X-Amz-Expires"))
	if err != nil || seconds < 1 || seconds > week {
		return incompleteSignature("X-Amz-Expires must be a number of seconds, at most a week.")
	}
	switch {
	case s.date.Sub(now) > 5*time.Minute:
		return s.checkDate(now)
	case !now.Before(s.date.Add(time.Duration(seconds) * time.Second)):
		return forbidden("AccessDenied", fmt.Sprintf("Request has expired: it was presigned at %s for %d seconds.", s.date.Format(time.RFC3339), seconds))
	}
	return nil
}
