// Package awserror classifies errors from the AWS SDK.
package awserror

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/irsakit/irsakit/internal/schedule"
)

// Is reports whether code is one of codes, which must not have the suffix "Exception". It ignores this
// suffix in code, because AWS uses most codes both with and without it, depending on the service and
// protocol. It also ignores white space, because gateways that indent XML add it, and a namespace, as
// in com.amazon.coral.service#ExpiredTokenException, because some clients for the Smithy RPC v2 CBOR
// protocol do not remove it.
func Is(code string, codes ...string) bool {
	code = code[strings.LastIndexByte(code, '#')+1:]
	return slices.Contains(codes, strings.TrimSuffix(strings.TrimSpace(code), suffix))
}

const suffix = "Exception"

// InvalidKeyCodes returns the error codes for credentials that are expired or unknown.
// https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
func InvalidKeyCodes() []string {
	return []string{"ExpiredToken", "InvalidClientTokenId", "UnrecognizedClient", "InvalidAccessKeyId", "TokenRefreshRequired"}
}

// IsThrottling reports whether code is an error code for throttled requests.
func IsThrottling(code string) bool {
	short := strings.TrimSuffix(code, suffix)
	_, without := retry.DefaultThrottleErrorCodes[short]
	_, with := retry.DefaultThrottleErrorCodes[short+suffix]
	return without || with
}

// Permanent reports whether err is an AWS service error that the SDK would not retry.
func Permanent(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	if Is(api.ErrorCode(), "IDPCommunicationError", // the SDK's STS client retries it
		"UnknownError") { // the SDK's code for a response without one
		return false
	}
	return retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) != aws.TrueTernary
}

// RetryAfter returns the delay in the X-Amz-Retry-After header of the response in err, or 0.
func RetryAfter(err error) time.Duration {
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.Response == nil || response.Response.Response == nil {
		return 0
	}
	return schedule.ParseRetryAfter(response.Response.Header.Get("X-Amz-Retry-After"))
}

// IsResponse reports whether err is a response from a service. If it is, throttled reports whether the
// service throttled the request. The methods of err are user code, so if one panics, IsResponse
// returns false.
func IsResponse(err error) (ok, throttled bool) {
	defer func() { _ = recover() }()
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false, false
	}
	return true, IsThrottling(api.ErrorCode())
}
