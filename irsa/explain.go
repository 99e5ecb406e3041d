package irsa

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/exchange"
	"github.com/irsakit/irsakit/internal/explain"
)

// newError returns the Error for the facts about a failure. All Errors are created here.
func newError(f explain.Facts, a explain.Advice) *Error {
	e := &Error{
		Kind:        f.Kind,
		RoleARN:     f.RoleARN,
		Source:      f.Source,
		Region:      f.Region,
		TokenFile:   f.TokenFile,
		Issuer:      f.Claims.Issuer,
		Subject:     f.Claims.Subject,
		Audience:    f.Claims.Audience,
		TokenExpiry: f.Claims.Expiry,
		Code:        f.Code,
		Advice:      explain.OneLine(a.Text),
		Link:        a.Heading.Link(),
		fix:         explain.CutMiddle(explain.OneLine(a.Fix), maxFix),
		cause:       explain.Cause(f.Err, f.TokenFile),
		err:         f.Err,
	}
	var failure *explain.RequestError
	if errors.As(f.Err, &failure) {
		e.RequestID = failure.RequestID
	}
	return e
}

// exchangeError returns the Error for a failed exchange.
func exchangeError(x *exchange.WebIdentity, err error) error {
	token := x.UsedToken.Load()
	kind := explain.Kind(err, "")
	if errors.Is(kind, ErrTokenFile) {
		token = nil
	}
	f := exchange.Facts(x.Config, kind, err, token)
	f.File.NeverRenewed = f.File.NeverRenewed || x.NeverRenewed.Load()
	e := newError(f, explain.For(f))
	if token != nil {
		e.SessionName, e.Endpoint = x.SessionNameFor(token.Claims()), x.Config.URL()
	}
	return e
}

// chainError returns the Error for a failed attempt of a role chain. If the source has no credentials
// to sign the request with, the Error has the source's kind, role and advice. An application's client
// may sign with the source, or with another Provider.
func chainError(x *chainExchange, err error) error {
	c := x.config
	var signer *Error
	if errors.As(err, &signer) && !errors.As(err, new(*rejectedError)) {
		e := *signer
		e.SessionName, e.Endpoint, e.NextAttempt, e.err = x.sessionName(), c.URL(), time.Time{}, err
		return &e
	}
	source := x.source.config.RoleARN
	f := exchange.Facts(c, explain.Kind(err, source), err, nil)
	f.Source = source
	e := newError(f, explain.For(f))
	e.SessionName = x.sessionName()
	if x.signedWith != "" { // otherwise, an application's client made the request
		e.Endpoint = c.URL()
	}
	return e
}

// notConfigured returns the Error for invalid settings. Its message and link describe the first error;
// its advice covers all of them.
func notConfigured(c *config.Config, errs config.Errors) error {
	e := newError(explain.Facts{
		Kind: ErrNotConfigured, RoleARN: explain.Cut(c.RoleARN, config.MaxARN), TokenFile: explain.Cut(c.TokenFile, config.MaxARN), Err: errs.Join(),
	}, exchange.SettingsAdvice(c, errs))
	e.cause, e.more = explain.OneLine(errs[0].Err.Error()), len(errs)-1
	return e
}

// poolFull returns the Error for a role that does not fit in a Pool.
func poolFull(c *config.Config) error {
	return newError(explain.Facts{
		Kind: ErrPoolFull, RoleARN: c.RoleARN,
		Err: errors.New("no role can be evicted: each belongs to a tenant within its share, or is used by a role chain"),
	}, explain.Advice{
		Heading: explain.HeadingPoolFull, Fix: "raise PoolOptions.MaxRoles",
		Text: "raise PoolOptions.MaxRoles, or try again later: a role without callers makes room an hour after its credentials have expired",
	})
}

// sharedError caches the Error created for a cache.Error, so that all callers share it.
type sharedError struct {
	of  *cache.Error
	err *Error
}

// sharedErrorOf returns the Error for an error of the cache. All callers get the same Error.
func (p *Provider) sharedErrorOf(err *cache.Error) *Error {
	last := p.state.shared.Load()
	if last != nil && last.of == err {
		return last.err
	}
	made := &sharedError{err, p.errorOf(err)}
	if !p.state.shared.CompareAndSwap(last, made) { // lost the race to a concurrent call
		return p.sharedErrorOf(err)
	}
	return made.err
}

// explain converts an error of the cache to an Error that describes the last attempt and contains the
// time of the next. If the caller's context is done, the Error also wraps the context's error. If err
// is nil, explain returns nil.
func (p *Provider) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if shared, ok := err.(*cache.Error); ok { //nolint:errorlint // an error that wraps a *cache.Error is not shared
		return p.sharedErrorOf(shared)
	}
	e := p.errorOf(err)
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) { // the caller's context is not the cause
		return e
	}
	ended := fmt.Errorf("waiting for credentials: %w", contextError(ctx))
	var attempt *cache.Error
	if errors.As(err, &attempt) || errors.As(err, new(*Error)) {
		e.err = fmt.Errorf("%w; the last attempt failed: %w", ended, e.err)
		return e
	}
	waited := newError(explain.Facts{
		Kind: e.Kind, RoleARN: e.RoleARN, TokenFile: e.TokenFile, Region: e.Region, Err: ended,
	}, explain.Caller(ctx, e.Region))
	waited.Endpoint = e.Endpoint
	return waited
}

// errorOf creates the Error for an error of the cache. If err already wraps the Error of the last
// attempt, it returns a copy with the time of the next attempt.
func (p *Provider) errorOf(err error) *Error {
	var attempt *cache.Error
	var next time.Time
	if errors.As(err, &attempt) {
		next = attempt.NextAttempt
	}
	var last *Error
	if errors.As(err, &last) {
		e := *last
		e.NextAttempt = next
		return &e
	}
	c, cause := p.config, err
	if attempt != nil {
		cause = attempt.Err
	}
	f := explain.Facts{Kind: kindOfCache(err), RoleARN: c.RoleARN, TokenFile: c.TokenFile, Region: c.Region, Err: cause}
	advice := explain.Cache(err)
	switch {
	case errors.Is(f.Kind, ErrClosed):
		f = explain.Facts{Kind: ErrClosed, RoleARN: c.RoleARN}
	case advice.Heading == "":
		advice = explain.For(f)
	}
	e := newError(f, advice)
	if errors.Is(err, cache.ErrMinTTL) {
		e.cause = cache.ErrMinTTL.Error() // explain.Cause would replace the durations
	}
	e.Endpoint, e.NextAttempt = c.URL(), next
	return e
}

// kindOfCache returns the kind of the attempt's Error that err wraps, or else the kind of the cache's
// own error.
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
	default: // the source did not return in time
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
