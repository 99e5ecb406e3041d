package irsa

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

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
	code, status := api.ErrorCode(), statusOf(err)
	switch code {
	case "ExpiredTokenException", "ExpiredToken": // the second is a simulator's
		return ErrTokenExpired
	case "InvalidIdentityToken":
		// "Couldn't retrieve verification key from your identity provider": STS
		// could not reach the issuer, which says nothing of the token.
		if strings.Contains(api.ErrorMessage(), "retrieve verification key") {
			return ErrUnavailable
		}
		return ErrTokenRejected
	case "IDPRejectedClaim",
		"InvalidParameterValue": // MinIO's for every token that it does not take
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
	case status >= http.StatusInternalServerError, notOfSTS(code):
		return ErrUnavailable
	default:
		return ErrInvalidRequest
	}
}

// unknownCode is the SDK's own, of a reply that names no code.
const unknownCode = "UnknownError"

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

// exchangeError makes an Error of one of the STS client.
func (x *exchange) exchangeError(err error, token tokenfile.Token) error {
	claims := token.Claims()
	e := &Error{
		Kind:        kindOf(err),
		RoleARN:     x.settings.RoleARN,
		SessionName: x.sessionName(claims),
		Endpoint:    x.settings.url,
		Region:      x.settings.Region,
		TokenFile:   x.settings.TokenFile,
		Issuer:      claims.Issuer,
		Subject:     claims.Subject,
		Audience:    claims.Audience,
		TokenExpiry: claims.Expiry,
		issuedAt:    claims.IssuedAt,
		err:         plain(withoutSecrets(err, partsOf(token)...)),
	}
	e.describe(err)
	e.set(hintOf(e))
	return e
}

// describe takes over what STS's answer says of itself.
func (e *Error) describe(err error) {
	var api smithy.APIError
	if errors.As(err, &api) {
		e.Code = api.ErrorCode()
	}
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		e.RequestID = response.ServiceRequestID()
	}
}

// tokenError makes an Error of one of the token source.
func tokenError(s *settings, err error) error {
	e := &Error{Kind: ErrTokenFile, RoleARN: s.RoleARN, TokenFile: s.TokenFile, Region: s.Region, err: err}
	e.set(hintOf(e))
	return e
}

// explain makes an Error of one of the cache, for a caller with that context: the
// last attempt's, with the time of the next one.
func (p *Provider) explain(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cache.ErrClosed):
		closed := &Error{Kind: ErrClosed, RoleARN: p.settings.RoleARN}
		closed.set(cacheHint(err))
		return closed
	}
	s := p.settings
	e := &Error{Kind: kindOfCache(err), RoleARN: s.RoleARN, TokenFile: s.TokenFile, Region: s.Region, Endpoint: s.url, err: err}
	switch {
	case e.Is(ErrInvalidRequest):
		e.set(cacheHint(err))
	case e.Is(ErrRefused):
		e.set(hintOf(e))
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
		e.set(callerHint(ctx, e))
	default:
		e.err = fmt.Errorf("waiting for credentials: %w; the last attempt failed: %w", ended, e.err)
	}
	return e
}

// kindOfCache says what kind of failure an error of the cache is: that of the attempt, or
// one of its own.
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
	default: // the source has not answered
		return ErrUnavailable
	}
}

// contextError is ctx's error, with its cause where that is another one.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// plain returns an error of the STS client without the layers that the SDK puts
// around what STS, or the network, said.
func plain(err error) error {
	var api smithy.APIError
	var send *smithyhttp.RequestSendError
	var request *url.Error
	var reply *smithy.DeserializationError
	text := err.Error()
	switch {
	case errors.As(err, &api) && api.ErrorCode() == unknownCode:
		text = fmt.Sprintf("the reply is an error without a code (HTTP %d)", statusOf(err))
	case errors.As(err, &api):
		text = api.ErrorCode() + ": " + api.ErrorMessage()
		if status := statusOf(err); status > 0 {
			text += fmt.Sprintf(" (HTTP %d)", status)
		}
	case errors.Is(err, context.DeadlineExceeded):
		text = fmt.Sprintf("no answer in time: %v", context.DeadlineExceeded)
	case errors.As(err, &request): // without the method and the URL
		text = request.Err.Error()
	case errors.As(err, &send):
		text = send.Err.Error()
	case errors.As(err, &reply):
		text = fmt.Sprintf("the reply cannot be read: %v", reply.Err)
	}
	return &plainError{text: shortened(text), error: err}
}

// shortened cuts what a server says to a length that a log line can have.
func shortened(text string) string {
	const most = 1 << 10
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// partsOf are the texts that tell of a token: it, and each part of it.
func partsOf(token tokenfile.Token) []string {
	return append([]string{token.Reveal()}, strings.Split(token.Reveal(), ".")...)
}

// withoutSecrets returns err without these texts. A server, or what stands before it,
// can repeat the request in its answer.
func withoutSecrets(err error, secrets ...string) error {
	text := err.Error()
	var reply *smithy.DeserializationError
	if errors.As(err, &reply) && len(reply.Snapshot) > 0 { // of the body, perhaps with credentials
		err = &plainError{text: text, error: &smithy.DeserializationError{Err: reply.Err}}
	}
	clean := text
	for _, secret := range secrets {
		if secret != "" {
			clean = strings.ReplaceAll(clean, secret, "[redacted]")
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

// plainError is an error as it was, with another text.
type plainError struct {
	text string
	error
}

func (e *plainError) Error() string { return e.text }
func (e *plainError) Unwrap() error { return e.error }
