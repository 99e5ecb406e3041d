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

// newError returns the Error for the facts about a failure, without advice.
func newError(f explain.Facts) *Error {
	e := &Error{
		Kind:        f.Kind,
		RoleARN:     f.RoleARN,
		Region:      f.Region,
		TokenFile:   f.TokenFile,
		Issuer:      f.Claims.Issuer,
		Subject:     f.Claims.Subject,
		Audience:    f.Claims.Audience,
		TokenExpiry: f.Claims.Expiry,
		Code:        f.Code,
		err:         f.Err,
	}
	var failure *explain.RequestError
	if errors.As(f.Err, &failure) {
		e.RequestID = failure.RequestID
	}
	return e
}

// set sets the advice and its link.
func (e *Error) set(a explain.Advice) { e.Advice, e.Link = explain.OneLine(a.Text), a.Heading.Link() }

// exchangeError returns the Error for an error of an exchange.
func exchangeError(x *exchange.WebIdentity, err error) error {
	var missing *explain.TokenError
	if errors.As(err, &missing) {
		return tokenError(x.Config, missing.Err)
	}
	token := x.UsedToken.Load()
	f := exchange.Facts(x.Config, explain.Kind(err), err, token)
	e := newError(f)
	e.SessionName, e.Endpoint = x.SessionNameFor(token.Claims()), x.Config.URL
	e.set(explain.For(f))
	return e
}

// tokenError returns the Error for an error of the token source.
func tokenError(c *config.Config, err error) error {
	f := exchange.Facts(c, ErrTokenFile, err, nil)
	e := newError(f)
	e.set(explain.For(f))
	return e
}

// chainError returns the Error for an error of a role chain's attempt. If the source is the cause, it
// has the source's kind, role and advice.
func chainError(x *chainExchange, err error) error {
	c, source := x.config, x.source.config.RoleARN
	var missing *sourceError
	var cause *Error
	if errors.As(err, &missing) && errors.As(missing.err, &cause) {
		return &Error{
			Kind: cause.Kind, RoleARN: cause.RoleARN, SessionName: x.sessionName(), Region: c.Region, Endpoint: c.URL,
			Code: cause.Code, RequestID: cause.RequestID, Advice: cause.Advice, Link: cause.Link, err: err,
		}
	}
	f := exchange.Facts(c, explain.ChainKind(err), err, nil)
	f.Err = fmt.Errorf("assuming %s with the credentials of %s: %w", c.RoleARN, source, err)
	e := newError(f)
	e.SessionName, e.Endpoint = x.sessionName(), c.URL
	e.set(explain.Chain(f, source))
	return e
}

// notConfigured returns the Error for invalid settings. Its link is that of the first error. The
// texts contain the advice.
func notConfigured(c *config.Config, errs config.Errors) error {
	e := &Error{
		Kind: ErrNotConfigured, RoleARN: explain.Truncate(c.RoleARN, config.MaxARN),
		TokenFile: explain.Truncate(c.TokenFile, config.MaxARN), err: errs.Join(),
	}
	e.set(explain.Advice{Heading: errs[0].Heading})
	return e
}

// poolFull returns the Error for a role for which a Pool has no room.
func poolFull(c *config.Config) error {
	return &Error{
		Kind: ErrPoolFull, RoleARN: c.RoleARN,
		err:    errors.New("every role belongs to a tenant within its share, or is used by a role chain"),
		Advice: "raise PoolOptions.MaxRoles",
	}
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
	case e.Is(ErrRejected):
		e.set(explain.For(explain.Facts{Kind: e.Kind}))
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
		e.set(explain.Caller(ctx, e.Region))
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
		return ErrRejected
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
