package irsa

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/smithy-go/metrics"
	"github.com/aws/smithy-go/tracing"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/exchange"
	"github.com/irsakit/irsakit/internal/regularfile"
	"github.com/irsakit/irsakit/tokenfile"
)

// Options configures a [Provider]. Zero fields default to the environment variables set by the EKS
// webhook, or else to the documented default.
type Options struct {
	// RoleARN is the role to assume. If empty, AWS_ROLE_ARN is used.
	RoleARN string

	// TokenFile is the absolute path of the projected token. It is limited to 4,096 bytes. The file is
	// read for every exchange, and checked for a new token every minute. If empty,
	// AWS_WEB_IDENTITY_TOKEN_FILE is used.
	TokenFile string

	// Token provides tokens instead of a file. New calls it only if no other setting determines the
	// region.
	Token TokenSource

	// SessionName identifies the session in CloudTrail. It has 2 to 64 characters of [\w+=,.@-] and
	// stays the same across refreshes. If empty, AWS_ROLE_SESSION_NAME is used, or else the namespace,
	// service account and pod in the first token, shortened with a hash if too long.
	SessionName string

	// Region is the region used for STS and for service clients created from AWSConfig. If empty, it
	// defaults to AWS_REGION, then AWS_DEFAULT_REGION, then the region in the issuer of an EKS
	// cluster's token. New returns an error if it cannot determine the region.
	Region string

	// Duration is the lifetime to request: 15 minutes to 12 hours, in whole seconds, and at most the
	// role's maximum session duration. If zero, 1 hour is requested. Longer lifetimes survive longer
	// outages.
	//
	// Credentials are never used for longer than Duration after they were requested, regardless of
	// what the response contains. If STS grants the full duration, as AWS always does, they are
	// therefore never used past their expiry, even if the clock is wrong. If a server grants less, a
	// wrong clock combined with a missing or wrong Date header can extend their use by at most the
	// difference.
	Duration time.Duration

	// Policy is a session policy in JSON, and PolicyARNs are up to 10 managed policies in the role's
	// account. Together they are limited to 2,048 characters. They restrict the session to actions
	// that they also allow.
	Policy     string
	PolicyARNs []string

	// AppID identifies the application in the User-Agent header of requests to STS and of service
	// clients created from AWSConfig. It is limited to 255 bytes; AWS recommends at most 50. If empty,
	// AWS_SDK_UA_APP_ID is used.
	AppID string

	// STS is a custom STS client, or a mock. If nil, an anonymous client is used that inherits nothing
	// from the application's service clients.
	//
	// A custom client is used as is, except that each call makes a single request (the Provider
	// retries it later), does not follow redirects, accepts a response of at most 256 KiB, and does
	// not log the request or the response. Its HTTP client is treated as described for HTTPClient. If
	// STS is set, AppID, Region, Endpoint, HTTPClient, TracerProvider and MeterProvider do not affect
	// the exchange.
	STS stscreds.AssumeRoleWithWebIdentityAPIClient

	// Endpoint is the URL of STS, without a query or fragment. It is limited to 2,048 bytes, and must
	// use https:// unless InsecureEndpoint is set or the host is a loopback address. If empty,
	// AWS_ENDPOINT_URL_STS is used, or else the region's endpoint as resolved by the SDK. New logs a
	// warning if Endpoint belongs to a region other than Region.
	Endpoint string

	// InsecureEndpoint allows an http:// endpoint on a remote host, for which New otherwise returns an
	// error. The token and the credentials can then be read on the network, unless the connection is
	// encrypted by other means, such as a service mesh. Loopback addresses (127.0.0.0/8, ::1,
	// localhost) are always allowed, unless HTTPClient uses a proxy on another host for them.
	InsecureEndpoint bool

	// HTTPClient sends the requests to STS. If nil, a client with the SDK's connect timeouts, the
	// proxy from the environment and the authorities in AWS_CA_BUNDLE is used.
	//
	// The default client uses HTTP/1.1, does not follow redirects, and accepts at most 64 KiB of
	// headers. It opens a connection for each request, except in a Pool, where it keeps connections
	// until they have been idle for 30 seconds or the Pool is closed. After a failed request, it does
	// not reuse earlier connections to the same host. An *awshttp.BuildableClient behaves the same,
	// using a copy of its settings. An *http.Client is copied, and the copy does not follow redirects.
	// Its transport and any other client must not follow redirects either. If they do, the exchange
	// fails, but the token may already have been sent to another host.
	HTTPClient aws.HTTPClient

	// TracerProvider and MeterProvider receive the SDK's spans and metrics of each exchange. By
	// default, no spans or metrics are recorded. Each span starts a new trace, because an exchange
	// serves all callers. Both are called during the exchange, so blocking in them delays it and a
	// panic makes it fail. Use exporters that work in batches.
	TracerProvider tracing.TracerProvider
	MeterProvider  metrics.MeterProvider

	// AttemptTimeout is the timeout of one exchange. If zero, 10 seconds is used; the maximum is 1
	// hour.
	AttemptTimeout time.Duration

	// Logger receives a warning when refreshing starts to fail and when a service rejects the
	// credentials, an error when no valid credentials are left, and a message at level Info when
	// refreshing recovers. Token rotations are logged at level Debug. If nil, slog.Default() is called
	// for each message.
	//
	// Messages contain no secrets. A slow handler does not delay callers or exchanges, but if it
	// blocks, the oldest pending messages are dropped. If a handler panics, its message is lost.
	Logger *slog.Logger

	// Observe, if non-nil, is called for every exchange and token rotation, and for every access key
	// that a host rejects or Invalidate withdraws. It is not called for an exchange whose credentials
	// are not used because they expire before the current ones.
	//
	// Calls are made one at a time and in order, in a separate goroutine, so a slow Observe does not
	// delay callers. If it blocks, only the newest 64 pending events are kept. Panics are logged.
	// Observe is not called after Close.
	Observe func(Event)
}

// TokenSource provides web identity tokens. [TokenFunc] creates one from a function. If several roles
// share a TokenSource, its methods must be safe for concurrent use.
type TokenSource interface {
	// Token returns a token that is currently valid. It is called for every exchange, and
	// must return when ctx is done.
	Token(ctx context.Context) (tokenfile.Token, error)

	// Identity identifies the subject of the tokens, such as a service account of a cluster. It must
	// never change. A Pool treats sources with the same identity as equal.
	Identity() string
}

// TokenFunc returns a TokenSource that calls token, for example to obtain the token of another service
// account from the Kubernetes TokenRequest API. The function and the identity must meet the
// requirements of [TokenSource]. A function that caches a token must not return it after the token
// expires.
func TokenFunc(identity string, token func(context.Context) (tokenfile.Token, error)) TokenSource {
	return &config.TokenFunc{Name: identity, Call: token}
}

// config returns the options as an unresolved Config.
func (o *Options) config() config.Config {
	return config.Config{
		RoleARN:     o.RoleARN,
		SessionName: o.SessionName,
		Duration:    o.Duration,
		Policy:      o.Policy,
		PolicyARNs:  o.PolicyARNs,
		Token:       o.Token,
		TokenFile:   o.TokenFile,
		Region:      o.Region,
		Shared: &config.Shared{
			Endpoint:         o.Endpoint,
			InsecureEndpoint: o.InsecureEndpoint,
			AppID:            o.AppID,
			STS:              o.STS,
			HTTPClient:       o.HTTPClient,
			TracerProvider:   o.TracerProvider,
			MeterProvider:    o.MeterProvider,
			AttemptTimeout:   o.AttemptTimeout,
		},
	}
}

// environment returns the environment of this process.
func environment() config.Environment {
	return config.Environment{
		Getenv: os.Getenv,
		Open: func(path string) (fs.File, error) {
			file, _, err := regularfile.Open(path)
			return file, err
		},
		Token: func(ctx context.Context, c *config.Config) (tokenfile.Token, error) {
			token, err := exchange.CallTokenSource(ctx, c)
			if err != nil {
				return token, exchange.TokenError(c, err)
			}
			return token, nil
		},
	}
}
