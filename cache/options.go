package cache

import (
	"errors"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/irsakit/irsakit/internal/schedule"
)

const (
	defaultAttemptTimeout = 10 * time.Second
	maxAttemptTimeout     = time.Hour
)

// Options change what a [Cache] does. The zero value is good for AWS.
type Options struct {
	// AttemptTimeout is the limit of one attempt, 10 s if it is 0 or less, and at most
	// an hour. The context that the source gets ends then; a tenth of a second later the
	// attempt counts as failed, even if the source has not returned. No other
	// begins before it has.
	AttemptTimeout time.Duration

	// Permanent says of a source's error that it will not pass by itself within
	// seconds: only somebody who changes a configuration mends it. Such errors
	// are reported to callers at once, and the attempts come to be 30 s apart. It
	// must not panic; if it does, the error is taken as one that will pass.
	// Nil means every error that an AWS service gave a code to, except those
	// that the SDK itself would retry.
	Permanent func(error) bool

	// RetryAfter returns how long a source's error asks to wait, 0 if it does not. The
	// next attempt then comes no sooner, but never later than the longest wait after a
	// failure, nor after the end of the credentials that are served. It must not panic.
	// Nil means the X-Amz-Retry-After header of a response in an error of the SDK.
	RetryAfter func(error) time.Duration

	// Limiter, if it is not nil, is shared with other Caches and bounds how many of
	// their attempts run at the same time. Waiting for a place is no part of an
	// attempt's limit.
	Limiter *Limiter

	// IdleLives, if it is not 0, is after how many lives of credentials that nobody
	// asked for the Cache stops refreshing them. The next Retrieve begins anew: it
	// gets what is still valid, or waits.
	IdleLives int

	// Logger gets a line where refreshing begins to fail, where callers begin to get
	// errors because there are no valid credentials, and where it has recovered. Nil means
	// slog.Default() at that time. No line has a secret in it, as far as the
	// source's errors have none. A handler that panics loses the line.
	Logger *slog.Logger

	// Observe, if it is not nil, is told of every attempt's end and of refused
	// credentials: one event at a time, in their order, in a goroutine of its
	// own, which delays no caller and no attempt. Of events that wait because
	// Observe blocks, the newest 64 are kept. A panic in it is logged.
	Observe func(Event)
}

func (o *Options) setDefaults() {
	if o.AttemptTimeout <= 0 {
		o.AttemptTimeout = defaultAttemptTimeout
	}
	o.AttemptTimeout = min(o.AttemptTimeout, maxAttemptTimeout)
	if o.Permanent == nil {
		o.Permanent = refusedByService
	}
	if o.RetryAfter == nil {
		o.RetryAfter = retryAfterHeader
	}
}

func refusedByService(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "IDPCommunicationError", // which the SDK's STS client retries
		"UnknownError": // the SDK's own, for a reply without a code
		return false
	}
	return retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) != aws.TrueTernary
}

// retryAfterHeader returns the wait in the X-Amz-Retry-After header of an SDK error, which has
// milliseconds.
func retryAfterHeader(err error) time.Duration {
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.Response == nil || response.Response.Response == nil {
		return 0
	}
	return schedule.ParseRetryAfter(response.Response.Header.Get("X-Amz-Retry-After"))
}
