package irsa

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/tokenfile"
)

// kindOf returns the kind of an error of the STS client. The codes are those of the
// AssumeRoleWithWebIdentity reference and the common errors of the AWS STS API.
func kindOf(err error) error {
	var failure *requestError
	if !errors.As(err, &failure) {
		return ErrUnavailable
	}
	if errors.Is(err, errCleartext) {
		return ErrNotConfigured
	}
	code, status := failure.code, failure.status
	switch code {
	case "ExpiredTokenException", "ExpiredToken": // the second comes from simulators
		return ErrTokenExpired
	case "InvalidIdentityToken":
		// "Couldn't retrieve verification key from your identity provider": STS
		// could not reach the issuer, so the token may still be valid.
		if strings.Contains(failure.message, "retrieve verification key") {
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
	switch {
	case status == http.StatusTooManyRequests:
		return ErrThrottled
	case code == "", status >= http.StatusInternalServerError, isForeignCode(code):
		return ErrUnavailable
	default:
		return ErrInvalidRequest
	}
}

// permanent reports whether an error of an exchange requires a change of the configuration or
// another token rather than a retry.
func permanent(err error) bool {
	return errors.Is(err, ErrNotConfigured) || errors.Is(err, ErrAccessDenied) || errors.Is(err, ErrInvalidRequest) ||
		errors.Is(err, ErrTokenRejected) || errors.Is(err, ErrTokenExpired) ||
		errors.Is(err, fs.ErrPermission)
}

// retryAfter returns the delay that the response to a failed exchange requests, or 0.
func retryAfter(err error) time.Duration {
	var failure *requestError
	if !errors.As(err, &failure) {
		return 0
	}
	return failure.retryAfter
}

// exchangeError returns the Error for an error of the STS client.
func (x *exchange) exchangeError(err error, token tokenfile.Token) error {
	claims := token.Claims()
	e := &Error{
		Kind:        kindOf(err),
		RoleARN:     x.config.RoleARN,
		SessionName: x.sessionName(claims),
		Endpoint:    x.config.url,
		Region:      x.config.Region,
		TokenFile:   x.config.TokenFile,
		Issuer:      claims.Issuer,
		Subject:     claims.Subject,
		Audience:    claims.Audience,
		TokenExpiry: claims.Expiry,
		issuedAt:    claims.IssuedAt,
		err:         err,
	}
	e.describe(err)
	e.set(adviceFor(e))
	return e
}

// describe sets the code and the request ID of a failed request's response.
func (e *Error) describe(err error) {
	var failure *requestError
	if errors.As(err, &failure) {
		e.Code, e.RequestID = failure.code, failure.requestID
	}
}

// tokenError returns the Error for an error of the token source.
func tokenError(c *config, err error) error {
	e := &Error{Kind: ErrTokenFile, RoleARN: c.RoleARN, TokenFile: c.TokenFile, Region: c.Region, err: redactError(err, redactTokens)}
	e.set(adviceFor(e))
	return e
}

// explain returns the Error for an error of the cache. It is that of the last attempt, with the
// time of the next one. If the caller's context is done, it wraps the context's error too.
func (p *Provider) explain(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cache.ErrClosed):
		closed := &Error{Kind: ErrClosed, RoleARN: p.config.RoleARN}
		closed.set(cacheAdvice(err))
		return closed
	}
	c := p.config
	e := &Error{Kind: kindOfCache(err), RoleARN: c.RoleARN, TokenFile: c.TokenFile, Region: c.Region, Endpoint: c.url, err: err}
	switch {
	case e.Is(ErrInvalidRequest):
		e.set(cacheAdvice(err))
	case e.Is(ErrRefused):
		e.set(adviceFor(e))
	}
	var attempt *cache.Error
	if errors.As(err, &attempt) {
		e.err, e.NextAttempt = attempt.Err, attempt.NextAttempt
	}
	var last *Error
	if errors.As(err, &last) {
		annotated := *last
		annotated.NextAttempt = e.NextAttempt
		e = &annotated
	}
	switch ended := contextError(ctx); {
	case ctx.Err() == nil || !errors.Is(err, ctx.Err()): // the caller's context is not the cause
	case last == nil:
		e.err = fmt.Errorf("waiting for credentials: %w", ended)
		e.set(callerAdvice(ctx, e))
	default:
		e.err = fmt.Errorf("waiting for credentials: %w; the last attempt failed: %w", ended, e.err)
	}
	return e
}

// kindOfCache returns the kind of an error of the cache: the kind of the attempt's error, or
// that of the cache's own error.
func kindOfCache(err error) error {
	var attempt *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &attempt):
		return attempt.Kind
	case errors.Is(err, cache.ErrMinTTL):
		return ErrInvalidRequest
	case errors.Is(err, cache.ErrRejected):
		return ErrRefused
	case errors.Is(err, cache.ErrClosed):
		return ErrClosed
	default: // the source has not returned
		return ErrUnavailable
	}
}

// contextError returns ctx's error, combined with its cause if they differ.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
