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

// Options configure a [Provider]. A field that is zero is taken from the environment
// variables that the EKS webhook sets, or has a default.
type Options struct {
	// RoleARN is the role to assume. The default is AWS_ROLE_ARN.
	RoleARN string

	// TokenFile is the absolute path of the projected token. It is read again for
	// every exchange. The default is AWS_WEB_IDENTITY_TOKEN_FILE.
	TokenFile string

	// Token provides tokens in place of a file. New calls it only if no other
	// setting determines the region.
	Token TokenSource

	// SessionName identifies the session in CloudTrail. It has 2 to 64 characters of
	// [\w+=,.@-] and stays the same across refreshes. The default is
	// AWS_ROLE_SESSION_NAME. If that is not set, the name consists of the namespace,
	// service account and pod of the first token, shortened with a hash if it is
	// too long.
	SessionName string

	// Region is the region of STS, and that of service clients made from AWSConfig.
	// The default is AWS_REGION, then AWS_DEFAULT_REGION, then the region in the
	// issuer of an EKS cluster's token. New fails if none of them is available.
	Region string

	// Duration is the lifetime to request: 15 minutes to 12 hours in whole seconds,
	// and at most the role's maximum session duration. The default is 1 hour. Longer
	// lifetimes survive longer outages. Credentials are never used for longer than
	// Duration after they were requested, regardless of what the response contains. If
	// STS grants it in full, as AWS always does, they are never used past their expiry,
	// even with a wrong clock. If a server grants less, a wrong clock and a missing
	// or wrong Date header can extend their use by at most the difference.
	Duration time.Duration

	// Policy is a session policy in JSON, and PolicyARNs are at most 10 managed policies
	// of the role's account. Together they have at most 2,048 characters. They restrict
	// the session to actions that they allow too.
	Policy     string
	PolicyARNs []string

	// AppID identifies the application in the User-Agent header of requests to STS, and of
	// service clients made from AWSConfig. It has at most 255 bytes. AWS recommends at most 50.
	// The default is AWS_SDK_UA_APP_ID.
	AppID string

	// STS is a custom STS client, or a mock. It is used unchanged, except that each call makes a single
	// request (the Provider retries it later), follows no redirects, accepts a response of at most 256
	// KiB, and logs neither request nor response. Its HTTP client is treated as described for HTTPClient.
	// AppID, Region, Endpoint, HTTPClient, TracerProvider and MeterProvider then do not affect the
	// exchange. The default is an anonymous client that inherits nothing from the application's service
	// clients.
	STS stscreds.AssumeRoleWithWebIdentityAPIClient

	// Endpoint is the URL of STS, without query and fragment. It must use https://, unless
	// InsecureEndpoint is set or the host is a loopback address. The default is
	// AWS_ENDPOINT_URL_STS, then the region's endpoint as resolved by the SDK. New logs a
	// warning if Endpoint belongs to another region than Region.
	Endpoint string

	// InsecureEndpoint allows an http:// endpoint on another host. The token and the
	// credentials can then be read on the network, unless something else encrypts the
	// connection, such as a service mesh. If it is false, New returns an error for such an
	// endpoint. Loopback addresses (127.0.0.0/8, ::1, localhost) are always allowed.
	InsecureEndpoint bool

	// HTTPClient sends the requests to STS. The default is a client with the SDK's connect
	// timeouts, the proxy from the environment and the authorities in AWS_CA_BUNDLE.
	//
	// The default client uses HTTP/1.1, follows no redirects, and accepts at most 64 KiB of
	// headers. It opens a connection for each request. A Pool's keeps connections, until they
	// have been idle for 30 seconds or the Pool is closed. After a failed request it does not
	// reuse connections to the same host that were opened before. An
	// *awshttp.BuildableClient behaves the same, with a copy of its settings. An *http.Client
	// is copied, and the copy follows no redirects. Its transport and any other client must not
	// follow redirects. If they do, the exchange fails, but the token may have been sent to
	// another host.
	HTTPClient aws.HTTPClient

	// TracerProvider and MeterProvider receive the SDK's spans and metrics of each exchange.
	// The default is none. Each span starts a new trace, because an exchange serves all
	// callers. Both are called during the exchange: blocking there delays it, and a panic
	// makes it fail. Use exporters that work in batches.
	TracerProvider tracing.TracerProvider
	MeterProvider  metrics.MeterProvider

	// AttemptTimeout is the timeout of one exchange. The default is 10 seconds, the
	// maximum 1 hour.
	AttemptTimeout time.Duration

	// Logger receives a message when refreshing starts to fail, when no valid credentials
	// are left, when refreshing has recovered, and when a service rejects the credentials.
	// It receives a message at level Debug when the token has been rotated. Messages contain
	// no secrets. If a handler panics, its message is lost. A slow handler delays neither callers nor
	// exchanges. If it blocks, newer messages replace older pending ones. The default is slog.Default()
	// at the time of the message.
	Logger *slog.Logger

	// Observe, if not nil, is called for every attempt, rejection and token rotation. Calls
	// are made one at a time and in order, in a separate goroutine, so that a slow Observe
	// delays no callers. If it blocks, the newest 64 pending events are kept and older ones
	// dropped. A panic is logged. It is not called after Close.
	Observe func(Event)
}

// TokenSource provides web identity tokens. [TokenFunc] returns one for a function. If
// several roles share a source, its methods must be safe for concurrent use.
type TokenSource interface {
	// Token returns a token that is currently valid. It is called for every exchange, and
	// must return when ctx is done.
	Token(ctx context.Context) (tokenfile.Token, error)

	// Identity identifies the subject of the tokens, such as a service account of a
	// cluster. It must never change. A Pool considers two sources with the same identity
	// equal.
	Identity() string
}

// TokenFunc returns a TokenSource that calls token, such as a function that obtains the token
// of another service account from the Kubernetes TokenRequest API. The function and the
// identity must meet the requirements of [TokenSource]. A function that caches a token must
// not return it after its expiry.
func TokenFunc(identity string, token func(context.Context) (tokenfile.Token, error)) TokenSource {
	return &config.TokenFunc{Name: identity, Call: token}
}

// config returns the settings as a Config that has not been resolved.
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

// environment returns the environment of the process.
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
