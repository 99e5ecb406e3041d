package explain

import (
	"errors"

	"github.com/irsakit/irsakit/cache"
)

// Advice describes how to fix a failure.
type Advice struct {
	Heading Heading
	Text    string // empty if the text of the failure contains the advice
}

// For returns the advice for a failed attempt.
func For(f Facts) Advice {
	switch f.Kind {
	case ErrNotConfigured:
		return Advice{Heading: HeadingEndpoint} // the error text contains the advice
	case ErrTokenFile:
		return tokenFileAdvice(f)
	case ErrTokenExpired:
		return tokenExpiredAdvice(f)
	case ErrTokenRejected:
		return tokenRejectedAdvice(f)
	case ErrAccessDenied:
		return accessDeniedAdvice(f)
	case ErrThrottled:
		return Advice{HeadingThrottled, "it is tried again by itself; all callers in the account and region share STS's limit: look for a program that asks for new credentials all the time"}
	case ErrInvalidRequest:
		return invalidRequestAdvice(f)
	case ErrUnavailable:
		return unavailableAdvice(f)
	case ErrRefused:
		return Advice{HeadingRefusedByService, "a service called the credentials expired: check the clocks of the node and of that service"}
	default:
		return Advice{}
	}
}

// Cache returns the advice for an error of the cache itself.
func Cache(err error) Advice {
	switch {
	case errors.Is(err, cache.ErrClosed):
		return Advice{HeadingClosed, "close it when nobody uses it any more"}
	case errors.Is(err, cache.ErrMinTTL):
		return Advice{Heading: HeadingMinTTL}
	default:
		return Advice{}
	}
}
