package irsa

import (
	"context"
	"errors"
	"fmt"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/exchange"
	"github.com/irsakit/irsakit/internal/explain"
)

// exchangeError returns the Error for an error of an exchange.
func exchangeError(x *exchange.WebIdentity, err error) error {
	var missing *explain.TokenError
	if errors.As(err, &missing) {
		return tokenError(x.Config, missing.Err)
	}
	claims := x.Used().Claims()
	e := &Error{
		Kind:        explain.Kind(err),
		RoleARN:     x.Config.RoleARN,
		SessionName: x.SessionNameFor(claims),
		Endpoint:    x.Config.URL,
		Region:      x.Config.Region,
		TokenFile:   x.Config.TokenFile,
		Issuer:      claims.Issuer,
		Subject:     claims.Subject,
		Audience:    claims.Audience,
		TokenExpiry: claims.Expiry,
		issuedAt:    claims.IssuedAt,
		err:         err,
	}
	e.describe(err)
	e.set(explain.For(e.facts()))
	return e
}

// describe sets the code and the request ID of a failed request's response.
func (e *Error) describe(err error) {
	var failure *explain.RequestError
	if errors.As(err, &failure) {
		e.Code, e.RequestID = failure.Code, failure.RequestID
	}
}

// tokenError returns the Error for an error of the token source.
func tokenError(c *config.Config, err error) error {
	e := &Error{Kind: ErrTokenFile, RoleARN: c.RoleARN, TokenFile: c.TokenFile, Region: c.Region, err: exchange.RedactTokens(err)}
	e.set(explain.For(e.facts()))
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
		closed.set(explain.Cache(err))
		return closed
	}
	c := p.config
	e := &Error{Kind: kindOfCache(err), RoleARN: c.RoleARN, TokenFile: c.TokenFile, Region: c.Region, Endpoint: c.URL, err: err}
	switch {
	case e.Is(ErrInvalidRequest):
		e.set(explain.Cache(err))
	case e.Is(ErrRefused):
		e.set(explain.For(e.facts()))
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
		e.set(explain.Caller(ctx, e.facts()))
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
	case errors.Is(err, cache.ErrRefused):
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
