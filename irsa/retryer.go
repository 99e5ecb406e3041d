package irsa

import (
	"context"
	"errors"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Retryer returns a function for aws.Config.Retryer of a configuration whose
// credentials are the Provider's. Where a service calls them expired (ExpiredToken,
// ExpiredTokenException), it tells [Provider.Invalidate] and lets the request be tried
// again with new ones. Where a service refuses them for a reason that may be another
// (RequestExpired, InvalidClientTokenId, UnrecognizedClientException), it has new ones
// made, once a minute at most, and leaves the verdict to base. So it does everything
// else: attempts, waits and rate limits are base's, the SDK's standard retryer if base
// is nil.
//
// [Provider.AWSConfig] does the same without it. Retryer is for configurations that
// are loaded otherwise; a service client that would have a retryer of its own, such as
// DynamoDB's, has base's then.
func (p *Provider) Retryer(base func() aws.Retryer) func() aws.Retryer {
	return func() aws.Retryer {
		if base == nil {
			return &retryer{retry.NewStandard(), p}
		}
		return &retryer{base(), p}
	}
}

// retryer is a Retryer of the SDK that knows when credentials were refused.
type retryer struct {
	aws.Retryer
	provider *Provider
}

// IsErrorRetryable is base's verdict, except for refused credentials of the Provider's.
func (r *retryer) IsErrorRetryable(err error) bool {
	return r.provider.refused(err) || r.Retryer.IsErrorRetryable(err)
}

// GetAttemptToken is base's, as the SDK asks for it.
func (r *retryer) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	if base, ok := r.Retryer.(aws.RetryerV2); ok {
		return base.GetAttemptToken(ctx)
	}
	return r.GetInitialToken(), nil
}

// refused takes note of a service's error about credentials of the Provider's. It says
// whether the request, made again, gets others.
func (p *Provider) refused(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	key := accessKeyOf(err)
	if !p.known.hasIssued(key) {
		return false
	}
	switch api.ErrorCode() {
	case "ExpiredToken", "ExpiredTokenException":
		p.cache.Invalidate(aws.Credentials{AccessKeyID: key})
		status := p.cache.Status()
		return status.Err == nil || status.NextAttempt.IsZero() // there are new ones, or will be
	case "RequestExpired", "InvalidClientTokenId", "UnrecognizedClientException":
		p.cache.Suspect(aws.Credentials{AccessKeyID: key})
	}
	return false
}

// credential is where a signed request names its access key.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
var credential = regexp.MustCompile(`Credential=([^/,\s]+)/`)

// accessKeyOf returns the access key ID that the request was signed with to which a
// service answered with that error; "" if it is not known.
func accessKeyOf(err error) string {
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.Response == nil || response.Response.Response == nil || response.Response.Request == nil {
		return ""
	}
	if match := credential.FindStringSubmatch(response.Response.Request.Header.Get("Authorization")); match != nil {
		return match[1]
	}
	return ""
}

// renewal is a middleware that makes a request once more where a service called the
// credentials expired. It stands around the client's own retries.
type renewal struct{ provider *Provider }

// ID names the middleware.
func (*renewal) ID() string { return "irsakit:renewal" }

// HandleFinalize makes the request, and perhaps makes it again.
func (m *renewal) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	out, metadata, err := next.HandleFinalize(ctx, in)
	if err == nil || !m.provider.refused(err) {
		return out, metadata, err
	}
	if request, ok := in.Request.(*smithyhttp.Request); !ok || request.RewindStream() != nil {
		return out, metadata, err
	}
	out, metadata, err = next.HandleFinalize(ctx, in)
	if err != nil {
		m.provider.refused(err) // which takes note of it
	}
	return out, metadata, err
}

// retryID names the middleware of the SDK that makes a client's attempts.
const retryID = "Retry"

// addTo puts the middleware around the retries of a service client.
func (m *renewal) addTo(stack *middleware.Stack) error {
	if _, retries := stack.Finalize.Get(retryID); !retries {
		return nil // a request that is only signed, not sent
	}
	return stack.Finalize.Insert(m, retryID, middleware.Before)
}
