package exchange

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/irsakit/irsakit/internal/explain"
)

// failure returns the error for a call that failed with err in the SDK.
func (c *Client) failure(r *response, err error) error {
	if client, ok := c.api.(*sts.Client); ok && r.status == 0 && r.err == nil && client.Options().Region == "" {
		return explain.ErrNoRegion
	}
	return r.failure(err)
}

// failure returns the error for a call that failed with err in the SDK. It contains none of the
// request's secrets.
func (r *response) failure(err error) error {
	e := &explain.RequestError{Status: r.status, RequestID: r.requestID, RetryAfter: r.retryAfter}
	switch {
	case r.err != nil:
		e.Err, e.Text = r.err, sendErrorText(r.err)
	case r.status == 0:
		describe(e, err, r.secrets)
	case r.code != "":
		e.Code, e.Message, e.Err = r.code, r.message, apiError(err, r.code, r.message)
	case r.bodyErr != nil:
		e.Err, e.Text = r.bodyErr, readErrorText(r.bodyErr)
	case r.succeeded() && r.result == (result{}):
		e.Err = errNoResult
	case r.succeeded(): // the application's client does not accept the response
		describe(e, err, append(slices.Clip(r.secrets), r.result.keys()...))
		e.Err = errors.Join(e.Err, explain.ErrOwnClient)
	default:
		e.Err, e.Text = explain.ErrNotSTS, fmt.Sprintf("error response without a code (HTTP %d)", r.status)
	}
	e.Text = explain.Shorten(cmp.Or(e.Text, codeText(e), e.Err.Error()))
	return e
}

// unusable returns the error for a successful response whose credentials are unusable because of err.
func (r *response) unusable(err error) error {
	return &explain.RequestError{Status: r.status, RequestID: r.requestID, Text: err.Error(), Err: err}
}

// apiError returns the SDK's error for code if err wraps one, or a generic error. Other SDK errors
// are dropped, because they contain the request and the response with their secrets.
func apiError(err error, code, message string) error {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == code {
		return api
	}
	return &smithy.GenericAPIError{Code: code, Message: message}
}

// describe sets the fields of e from err if the client did not make an HTTP request, for example
// because it is a mock or failed before sending one.
func describe(e *explain.RequestError, err error, secrets secrets) {
	var status interface{ HTTPStatusCode() int }
	if errors.As(err, &status) {
		e.Status = status.HTTPStatusCode()
	}
	var request interface{ ServiceRequestID() string }
	if errors.As(err, &request) {
		e.RequestID = secrets.identifier(request.ServiceRequestID())
	}
	e.Err = secrets.redactError(err)
	var api smithy.APIError
	isAPI, hasRequest := errors.As(err, &api), errors.As(err, new(*smithyhttp.ResponseError))
	if hasRequest {
		e.Err = newRedactedError(e.Err.Error(), err)
	}
	switch {
	case !isAPI:
		e.Text = cmp.Or(timeoutText(err), e.Err.Error())
	case api.ErrorCode() == unknownCode || secrets.identifier(api.ErrorCode()) == "":
		e.Err, e.Text = explain.ErrNotSTS, fmt.Sprintf("error response without a code (HTTP %d)", e.Status)
	default:
		e.Code, e.Message = api.ErrorCode(), secrets.redact(explain.Shorten(api.ErrorMessage()))
		if hasRequest {
			e.Err = secrets.redactError(apiError(err, e.Code, e.Message))
		}
	}
}

// unknownCode is the SDK's error code for a response without a code.
const unknownCode = "UnknownError"

func codeText(e *explain.RequestError) string {
	text := e.Code
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Code != "" && e.Status != 0 {
		text += fmt.Sprintf(" (HTTP %d)", e.Status)
	}
	return text
}

// sendErrorText returns the message of an HTTP client's error, without the method and the URL.
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
		return fmt.Sprintf("response larger than %d bytes", tooLong.Limit)
	}
	if text := timeoutText(err); text != "" {
		return text
	}
	return "the response cannot be read: " + err.Error()
}

// timeoutText returns the message for a timeout, or "" for any other error.
func timeoutText(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no response in time: %v", context.DeadlineExceeded)
	}
	return ""
}
