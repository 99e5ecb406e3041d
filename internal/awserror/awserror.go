// Package awserror classifies errors of the AWS SDK.
package awserror

import (
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/irsakit/irsakit/internal/schedule"
)

// Permanent reports whether err has a code from an AWS service and the SDK would not retry.
func Permanent(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "IDPCommunicationError", // the SDK's STS client retries it
		"UnknownError": // the SDK's code for a response without one
		return false
	}
	return retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) != aws.TrueTernary
}

// RetryAfter returns the wait that the X-Amz-Retry-After header of an SDK error contains, in
// milliseconds.
func RetryAfter(err error) time.Duration {
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.Response == nil || response.Response.Response == nil {
		return 0
	}
	return schedule.ParseRetryAfter(response.Response.Header.Get("X-Amz-Retry-After"))
}

// Answer reports whether err is the answer of a service, and whether the service throttled the
// request. Methods of err are foreign code. If one panics, err does not count as an answer.
func Answer(err error) (answered, throttled bool) {
	defer func() { _ = recover() }()
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false, false
	}
	_, throttled = retry.DefaultThrottleErrorCodes[api.ErrorCode()]
	return true, throttled
}
