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
	switch {
	case f.is(ErrNotConfigured):
		return Advice{Heading: HeadingEndpoint} // the error text contains the advice
	case f.is(ErrTokenFile):
		return tokenFileAdvice(f)
	case f.is(ErrTokenExpired):
		return tokenExpiredAdvice(f)
	case f.is(ErrTokenRejected):
		return tokenRejectedAdvice(f)
	case f.is(ErrAccessDenied):
		return accessDeniedAdvice(f)
	case f.is(ErrThrottled):
		return Advice{HeadingThrottled, "it is tried again by itself; all callers in the account and region share STS's limit: look for a program that asks for new credentials all the time"}
	case f.is(ErrInvalidRequest):
		return invalidRequestAdvice(f)
	case f.is(ErrUnavailable):
		return unavailableAdvice(f)
	case f.is(ErrRejected):
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
