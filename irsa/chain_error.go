package irsa

import (
	"errors"
	"fmt"

	"github.com/irsakit/irsakit/internal/explain"
)

// sourceError is the error of an attempt whose source Provider has no credentials.
type sourceError struct {
	role string
	err  error
}

func (e *sourceError) Error() string {
	return fmt.Sprintf("there are no credentials of %s, which assumes it: %v", e.role, e.err)
}
func (e *sourceError) Unwrap() error { return e.err }

// wrapError returns the Error for the error of an attempt. If the source is the cause, it has the
// source's kind, role and advice.
func (x *chainExchange) wrapError(err error) error {
	c := x.config
	e := &Error{Kind: ErrUnavailable, RoleARN: c.RoleARN, SessionName: x.SessionName(), Region: c.Region, Endpoint: c.URL, err: err}
	var missing *sourceError
	var cause *Error
	if errors.As(err, &missing) && errors.As(missing.err, &cause) {
		e.Kind, e.RoleARN, e.Code, e.RequestID = cause.Kind, cause.RoleARN, cause.Code, cause.RequestID
		e.Cure, e.Link = cause.Cure, cause.Link
		return e
	}
	e.Kind = explain.ChainKind(err)
	e.describe(err)
	e.err = fmt.Errorf("assuming %s with the credentials of %s: %w", c.RoleARN, x.source.config.RoleARN, err)
	e.set(explain.Chain(e.facts(), x.source.config.RoleARN))
	return e
}
