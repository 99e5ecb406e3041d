package irsa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// requestError is the error of a failed request to STS. Its text is the library's own, except for
// STS's code and message and the error of the network stack.
type requestError struct {
	status    int    // 0 if no response came
	code      string // empty if the response has none
	message   string
	requestID string
	text      string
	err       error

	retryAfter time.Duration // the delay that the server requests
}

func (e *requestError) Error() string { return e.text }
func (e *requestError) Unwrap() error { return e.err }

// failure returns the error of a call of the config's client for which the SDK returned err.
func (c *config) failure(r *response, err error) error {
	if client, ok := c.client.(*sts.Client); ok && r.status == 0 && r.err == nil && client.Options().Region == "" {
		return errNoRegion
	}
	return r.failure(err)
}

// failure returns the error of a call for which the SDK returned err. It contains no secret of
// the request.
func (r *response) failure(err error) error {
	e := &requestError{status: r.status, requestID: r.requestID, retryAfter: r.retryAfter}
	switch {
	case r.err != nil:
		e.err, e.text = r.err, sendErrorText(r.err)
	case r.status == 0:
		e.describe(err, r.secrets)
	case r.code != "":
		e.code, e.message, e.err = r.code, r.message, apiError(err, r.code, r.message)
	case r.bodyErr != nil:
		e.err, e.text = r.bodyErr, readErrorText(r.bodyErr)
	case r.succeeded():
		e.err = fmt.Errorf("the reply has no credentials: %w", errNotSTS)
	default:
		e.err, e.text = errNotSTS, fmt.Sprintf("the reply is an error without a code (HTTP %d)", r.status)
	}
	e.text = shortened(cmp.Or(e.text, e.codeText(), e.err.Error()))
	return e
}

// apiError returns the SDK's error for the code in err, or a generic one. It drops the SDK's other
// errors, because they contain the request and the response with their secrets.
func apiError(err error, code, message string) error {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == code {
		return api
	}
	return &smithy.GenericAPIError{Code: code, Message: message}
}

// describe sets the fields from the error of a client that made no HTTP request: a mock, or an SDK
// client that failed before it sent one.
func (e *requestError) describe(err error, secrets secrets) {
	var status interface{ HTTPStatusCode() int }
	if errors.As(err, &status) {
		e.status = status.HTTPStatusCode()
	}
	var request interface{ ServiceRequestID() string }
	if errors.As(err, &request) {
		e.requestID = secrets.identifier(request.ServiceRequestID())
	}
	e.err = secrets.redactError(err)
	var api smithy.APIError
	switch {
	case !errors.As(err, &api):
		e.text = cmp.Or(timeoutText(err), e.err.Error())
	case api.ErrorCode() == unknownCode || secrets.identifier(api.ErrorCode()) == "":
		e.err, e.text = errNotSTS, fmt.Sprintf("the reply is an error without a code (HTTP %d)", e.status)
	default:
		e.code, e.message = api.ErrorCode(), secrets.redact(shortened(api.ErrorMessage()))
	}
}

// unknownCode is the code of the SDK's error for a response without one.
const unknownCode = "UnknownError"

func (e *requestError) codeText() string {
	text := e.code
	if e.message != "" {
		text += ": " + e.message
	}
	if e.code != "" && e.status != 0 {
		text += fmt.Sprintf(" (HTTP %d)", e.status)
	}
	return text
}

// sendErrorText returns the text of an HTTP client's error, without the method and the URL.
func sendErrorText(err error) string {
	if text := timeoutText(err); text != "" {
		return text
	}
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err.Error()
	}
	return err.Error()
}

func readErrorText(err error) string {
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return fmt.Sprintf("the reply cannot be read: it is longer than %d bytes", tooLong.Limit)
	}
	if text := timeoutText(err); text != "" {
		return text
	}
	return "the reply cannot be read: " + err.Error()
}

// timeoutText returns the text of a timeout, or "" for any other error.
func timeoutText(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer in time: %v", context.DeadlineExceeded)
	}
	return ""
}

// shortened returns text from a server, truncated to 1 KiB.
func shortened(text string) string {
	const most = 1 << 10
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "�") + "..."
}
