package irsa

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/tokenfile"
)

// kindOf says what kind of failure an error of the STS client is. The codes are
// those of the AssumeRoleWithWebIdentity reference and the common errors of the AWS
// STS API.
func kindOf(err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ErrUnavailable
	}
	code := api.ErrorCode()
	switch code {
	case "ExpiredTokenException":
		return ErrTokenExpired
	case "InvalidIdentityToken":
		// "Couldn't retrieve verification key from your identity provider": STS
		// could not reach the issuer, which says nothing of the token.
		if strings.Contains(api.ErrorMessage(), "retrieve verification key") {
			return ErrUnavailable
		}
		return ErrTokenRejected
	case "IDPRejectedClaim":
		return ErrTokenRejected
	case "AccessDenied", "AccessDeniedException":
		return ErrAccessDenied
	case "IDPCommunicationError", "InternalFailure", "InternalError", "ServiceUnavailable",
		"RequestTimeout", "RequestTimeoutException":
		return ErrUnavailable
	case "UnknownError": // the SDK's own: the reply names no code, so it is not from STS
		return ErrUnavailable
	}
	if _, throttled := retry.DefaultThrottleErrorCodes[code]; throttled {
		return ErrThrottled
	}
	switch status := statusOf(err); {
	case status == 429:
		return ErrThrottled
	case status >= 500:
		return ErrUnavailable
	default:
		return ErrInvalidRequest
	}
}

func statusOf(err error) int {
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

// permanent says of an error of the exchange that it will not pass by itself.
func permanent(err error) bool {
	return errors.Is(err, ErrAccessDenied) || errors.Is(err, ErrInvalidRequest) ||
		errors.Is(err, ErrTokenRejected) || errors.Is(err, ErrTokenExpired) ||
		errors.Is(err, fs.ErrPermission)
}

// cureOf is what to do about a failure.
func (e *Error) cureOf() string {
	var tooLong *http.MaxBytesError
	switch {
	case e.Is(ErrTokenExpired):
		return "STS goes by its own clock: check that the kubelet renews the token, that it is not mounted with subPath, and the node's clock"
	case e.Is(ErrTokenRejected):
		return fmt.Sprintf("check that IAM in the role's account has an OIDC provider for the issuer %s with the client ID %s", e.Issuer, strings.Join(e.Audience, ","))
	case e.Is(ErrAccessDenied):
		issuer := strings.TrimPrefix(e.Issuer, "https://")
		return fmt.Sprintf("check that the role exists and that its trust policy allows sts:AssumeRoleWithWebIdentity where %s:sub is %s and %s:aud is %s",
			issuer, e.Subject, issuer, strings.Join(e.Audience, ","))
	case e.Is(ErrTokenFile) && errors.Is(e.err, fs.ErrPermission):
		return "let the process's group read it: set securityContext.fsGroup in the pod"
	case e.Is(ErrTokenFile):
		return "check that the projected volume is mounted"
	case errors.As(e.err, &tooLong):
		return fmt.Sprintf("the reply has more than %d bytes, so it is not from STS: check the endpoint and the proxy", tooLong.Limit)
	case e.Is(ErrUnavailable) && e.Code == "":
		return "check the way to STS: its endpoint, a proxy, a network policy"
	case e.Is(ErrThrottled):
		return "it is tried again by itself; all roles of the account share STS's limit"
	case e.Is(ErrInvalidRequest):
		return "check the role's ARN, the session's duration and policies, and the region"
	default:
		return ""
	}
}

// exchangeError makes an Error of one of the STS client.
func (x *exchange) exchangeError(err error, token tokenfile.Token) error {
	claims := token.Claims()
	e := &Error{
		Kind:        kindOf(err),
		RoleARN:     x.settings.RoleARN,
		SessionName: x.sessionName(claims),
		Endpoint:    x.settings.Endpoint,
		Region:      x.settings.Region,
		TokenFile:   x.settings.TokenFile,
		Issuer:      claims.Issuer,
		Subject:     claims.Subject,
		Audience:    claims.Audience,
		TokenExpiry: claims.Expiry,
		err:         withoutSecrets(err, token),
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		e.Code = api.ErrorCode()
	}
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		e.RequestID = response.ServiceRequestID()
	}
	e.cure = e.cureOf()
	return e
}

// tokenError makes an Error of one of the token source.
func tokenError(s *settings, err error) error {
	e := &Error{Kind: ErrTokenFile, RoleARN: s.RoleARN, TokenFile: s.TokenFile, Region: s.Region, err: err}
	e.cure = e.cureOf()
	return e
}

// explain makes an Error of one of the cache, for a caller with that context: the
// last attempt's, with the time of the next one.
func (p *Provider) explain(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cache.ErrClosed):
		return &Error{Kind: ErrClosed, RoleARN: p.settings.RoleARN}
	}
	e := &Error{Kind: ErrUnavailable, RoleARN: p.settings.RoleARN, err: err}
	switch {
	case errors.Is(err, cache.ErrMinTTL):
		e.Kind = ErrInvalidRequest
	case errors.Is(err, cache.ErrRefused):
		e.Kind = ErrRefused
		e.cure = "check the clocks of the node and of that service"
	}
	var attempt *cache.Error
	if errors.As(err, &attempt) {
		e.err, e.NextAttempt = attempt.Err, attempt.NextAttempt
	}
	var last *Error
	if errors.As(err, &last) {
		known := *last
		known.NextAttempt = e.NextAttempt
		e = &known
	}
	switch ended := contextError(ctx); {
	case ctx.Err() == nil || !errors.Is(err, ctx.Err()): // not the caller's context
	case last == nil:
		e.err = fmt.Errorf("waiting for credentials: %w", ended)
	default:
		e.err = fmt.Errorf("waiting for credentials: %w; the last attempt failed: %w", ended, e.err)
	}
	return e
}

// contextError is ctx's error, with its cause where that is another one.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// withoutSecrets returns err with nothing of the token in it. A server, or what
// stands before it, can repeat the request in its answer.
func withoutSecrets(err error, token tokenfile.Token) error {
	text := err.Error()
	var reply *smithy.DeserializationError
	if errors.As(err, &reply) && len(reply.Snapshot) > 0 { // of the body, perhaps with credentials
		err = &bodilessError{text: text, error: &smithy.DeserializationError{Err: reply.Err}}
	}
	clean := text
	for _, part := range append([]string{token.Reveal()}, strings.Split(token.Reveal(), ".")...) {
		if part != "" {
			clean = strings.ReplaceAll(clean, part, "[redacted]")
		}
	}
	if clean == text {
		return err
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return &smithy.GenericAPIError{Code: api.ErrorCode(), Message: clean}
	}
	return errors.New(clean)
}

// bodilessError is an error as it was, without what the SDK kept of the reply.
type bodilessError struct {
	text string
	error
}

func (e *bodilessError) Error() string { return e.text }
func (e *bodilessError) Unwrap() error { return e.error }
