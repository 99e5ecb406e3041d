// Package explain classifies failures and gives advice on how to fix them. It uses only the error
// and facts gathered by the caller, and does not access files or the network.
package explain

import (
	"errors"
	"io/fs"
	"net"
	"net/http"
	"time"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/awserror"
)

// Kinds of failures. They are exported and documented by package irsa.
var (
	ErrNotConfigured  = errors.New("invalid configuration")
	ErrTokenFile      = errors.New("no valid token")
	ErrTokenExpired   = errors.New("token expired")
	ErrTokenRejected  = errors.New("token rejected")
	ErrAccessDenied   = errors.New("access denied")
	ErrThrottled      = errors.New("throttled")
	ErrUnavailable    = errors.New("no credentials from STS")
	ErrInvalidRequest = errors.New("invalid request")
	ErrClosed         = cache.ErrClosed
	ErrRejected       = cache.ErrRejected
)

// Kind returns the kind of an exchange error. source is the role that signed the request, or empty
// for a web identity.
func Kind(err error, source string) error {
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
	s := setupOf(source)
	if r := find(func(r *rule) bool {
		return r.codes != nil && r.kind != nil && r.answers(failure.Code, failure.Message, s)
	}); r != nil {
		return r.kind
	}
	switch {
	case awserror.IsThrottling(failure.Code), failure.Status == http.StatusTooManyRequests:
		return ErrThrottled
	case failure.Code == "", failure.Status >= http.StatusInternalServerError, isOtherServerCode(failure.Code):
		return ErrUnavailable
	default:
		return ErrInvalidRequest
	}
}

// ErrNotInjected is the cause of an ErrNotConfigured when neither of the webhook's variables is set.
var ErrNotInjected = errors.New("irsa: neither a role nor a token is configured")

// IsTokenRejection reports whether STS rejected the token. A newer token may be accepted.
func IsTokenRejection(err error) bool {
	kind := Kind(err, "")
	return errors.Is(kind, ErrTokenExpired) || errors.Is(kind, ErrTokenRejected)
}

// Permanent reports whether an exchange error requires a configuration change or a different token
// rather than a retry. Permission errors are permanent for files but not for connections, because a
// network policy can deny those with EPERM until it includes a new pod.
func Permanent(err error) bool {
	var permanent *PermanentError
	return errors.As(err, &permanent) || errors.Is(err, ErrNotConfigured) || errors.Is(err, ErrAccessDenied) || errors.Is(err, ErrInvalidRequest) ||
		errors.Is(err, ErrTokenRejected) || errors.Is(err, ErrTokenExpired) ||
		errors.Is(err, fs.ErrPermission) && !errorIs[*net.OpError](err)
}

// RetryAfter returns the delay requested by the response to a failed exchange, or 0.
func RetryAfter(err error) time.Duration {
	var failure *RequestError
	if !errors.As(err, &failure) {
		return 0
	}
	return failure.RetryAfter
}
