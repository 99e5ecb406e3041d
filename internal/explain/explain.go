// Package explain determines the kind of a failure and the advice on how to fix it. It computes
// both from an error and from facts that its caller gathers, and accesses no files and no network.
package explain

import (
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/tokenfile"
)

// The kinds of failures. Package irsa exports and documents them.
var (
	ErrNotConfigured  = errors.New("not configured")
	ErrTokenFile      = errors.New("token cannot be read")
	ErrTokenExpired   = errors.New("token expired")
	ErrTokenRejected  = errors.New("token rejected")
	ErrAccessDenied   = errors.New("access denied")
	ErrThrottled      = errors.New("throttled")
	ErrUnavailable    = errors.New("STS unavailable")
	ErrInvalidRequest = errors.New("invalid request")
	ErrClosed         = cache.ErrClosed
	ErrRejected       = cache.ErrRejected
)

// Facts are what the advice for a failure depends on.
type Facts struct {
	Kind      error // one of the kinds above
	Err       error // the cause
	Code      string
	RoleARN   string
	Region    string
	TokenFile string // empty if the tokens do not come from a file
	Claims    tokenfile.Claims
	File      File // the token file, for failures to read it and expired tokens
	Now       time.Time
}

func (f Facts) is(kind error) bool { return errors.Is(f.Kind, kind) }

// Kind returns the kind of an error of an exchange. The codes are those of the
// AssumeRoleWithWebIdentity reference and the common errors of the AWS STS API.
func Kind(err error) error {
	var token *TokenError
	if errors.As(err, &token) {
		return ErrTokenFile
	}
	var failure *RequestError
	if !errors.As(err, &failure) {
		return ErrUnavailable
	}
	if errors.Is(err, ErrCleartext) {
		return ErrNotConfigured
	}
	if kind := kindOfCode(failure.Code, failure.Message); kind != nil {
		return kind
	}
	switch {
	case failure.Status == http.StatusTooManyRequests:
		return ErrThrottled
	case failure.Code == "", failure.Status >= http.StatusInternalServerError, isForeignCode(failure.Code):
		return ErrUnavailable
	default:
		return ErrInvalidRequest
	}
}

// kindOfCode returns the kind of an error code that has the same kind in every response, or nil.
func kindOfCode(code, message string) error {
	switch code {
	case "ExpiredTokenException", "ExpiredToken": // the second comes from simulators
		return ErrTokenExpired
	case "InvalidIdentityToken":
		// "Couldn't retrieve verification key from your identity provider": STS
		// could not reach the issuer, so the token may still be valid.
		if strings.Contains(message, "retrieve verification key") {
			return ErrUnavailable
		}
		return ErrTokenRejected
	case "IDPRejectedClaim",
		"InvalidParameterValue": // MinIO, for every token that it rejects
		return ErrTokenRejected
	case "AccessDenied", "AccessDeniedException":
		return ErrAccessDenied
	case "IDPCommunicationError", "InternalFailure", "InternalError", "ServiceUnavailable",
		"RequestTimeout", "RequestTimeoutException":
		return ErrUnavailable
	}
	if _, throttled := retry.DefaultThrottleErrorCodes[code]; throttled {
		return ErrThrottled
	}
	return nil
}

// IsTokenRejection reports whether STS rejected the token, so that a newer token can be accepted.
func IsTokenRejection(err error) bool {
	kind := Kind(err)
	return errors.Is(kind, ErrTokenExpired) || errors.Is(kind, ErrTokenRejected)
}

// Permanent reports whether an error of an exchange requires a change of the configuration or
// another token rather than a retry.
func Permanent(err error) bool {
	var permanent *PermanentError
	return errors.As(err, &permanent) || errors.Is(err, ErrNotConfigured) || errors.Is(err, ErrAccessDenied) || errors.Is(err, ErrInvalidRequest) ||
		errors.Is(err, ErrTokenRejected) || errors.Is(err, ErrTokenExpired) ||
		errors.Is(err, fs.ErrPermission)
}

// RetryAfter returns the delay that the response to a failed exchange requests, or 0.
func RetryAfter(err error) time.Duration {
	var failure *RequestError
	if !errors.As(err, &failure) {
		return 0
	}
	return failure.RetryAfter
}
