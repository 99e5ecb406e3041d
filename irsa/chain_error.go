package irsa

import (
	"errors"
	"fmt"
	"strings"
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
	e := &Error{Kind: ErrUnavailable, RoleARN: c.RoleARN, Region: c.Region, Endpoint: c.url, err: err}
	if name := x.session.Load(); name != nil {
		e.SessionName = *name
	}
	var missing *sourceError
	var cause *Error
	if errors.As(err, &missing) && errors.As(missing.err, &cause) {
		e.Kind, e.RoleARN, e.Code, e.RequestID = cause.Kind, cause.RoleARN, cause.Code, cause.RequestID
		e.Cure, e.Link = cause.Cure, cause.Link
		return e
	}
	e.Kind = kindOf(err)
	e.describe(err)
	switch e.Code {
	case "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId":
		e.Kind = ErrRefused // STS rejected the source's credentials
	case "SignatureDoesNotMatch":
		if !isOtherRegion(err) {
			e.Kind = ErrRefused
		}
	}
	e.err = fmt.Errorf("assuming %s with the credentials of %s: %w", c.RoleARN, x.source.config.RoleARN, err)
	e.set(chainAdvice(e, x.source.config.RoleARN))
	return e
}

// isOtherRegion reports whether STS rejected a signature because it is for another region.
// https://github.com/cloud-custodian/cloud-custodian/issues/4874 shows the text that AWS sends.
func isOtherRegion(err error) bool {
	var failure *requestError
	return errors.As(err, &failure) && strings.HasPrefix(failure.message, "Credential should be scoped to a valid region")
}

// chainAdvice returns the advice for a role that cannot assume another.
func chainAdvice(e *Error, source string) advice {
	if isOtherRegion(e.err) {
		return advice{headingEndpoint, fmt.Sprintf("the STS endpoint is not one of the region %s, for which requests are signed: %s", e.Region, regionAdvice)}
	}
	if !e.Is(ErrAccessDenied) {
		return adviceFor(e)
	}
	return advice{headingRoleChain, fmt.Sprintf("%s needs the permission sts:AssumeRole for %s, and the trust policy of that role the statement %s, with the external ID and the source identity that its conditions ask for",
		source, e.RoleARN, principalStatement(source))}
}

// principalStatement returns the trust policy statement that allows a role, in one line of JSON.
func principalStatement(role string) string {
	return fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":%q},"Action":"sts:AssumeRole"}`, role)
}
