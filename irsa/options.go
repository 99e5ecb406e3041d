package irsa

import (
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/smithy-go/metrics"
	"github.com/aws/smithy-go/tracing"
)

// Options say which role is assumed and how. The zero value is what the EKS webhook
// injected: whatever is left zero comes from the environment or has a default.
type Options struct {
	// RoleARN is the role to assume; default: AWS_ROLE_ARN.
	RoleARN string

	// TokenFile is the absolute path of the projected token; default:
	// AWS_WEB_IDENTITY_TOKEN_FILE. It is read anew for every exchange.
	TokenFile string

	// Token gives the tokens instead of a file. New asks it for one only where
	// nothing else names the region.
	Token TokenSource

	// SessionName appears in CloudTrail: 2 to 64 characters of [\w+=,.@-];
	// default: AWS_ROLE_SESSION_NAME, or else the namespace, service account and
	// pod of the first token, shortened with a hash where that is too long. It
	// is the same at every refresh.
	SessionName string

	// Region is where STS is asked, and what AWSConfig tells service clients;
	// default: AWS_REGION, AWS_DEFAULT_REGION, or else the region in the
	// issuer of the token of an EKS cluster. Without any of them New fails.
	Region string

	// Duration is the lifetime to request, 15 minutes to 12 hours in whole seconds
	// and at most the role's maximum session duration; default: 1 hour. Longer
	// lifetimes survive longer outages. Credentials are never used for longer than
	// Duration after they were requested, whatever the response contains. If STS
	// grants it in full, as AWS always does, they are never used past their end,
	// even with a wrong clock. If a server grants less, a wrong clock and a missing
	// or wrong Date header can extend their use by at most the difference.
	Duration time.Duration

	// Policy is a session policy in JSON, at most 2,048 characters together
	// with PolicyARNs, at most 10 managed policies of the role's account: the
	// session may do only what they allow too.
	Policy     string
	PolicyARNs []string

	// STS is a client of your own, or a mock. It is used as it is, except that each call
	// is one request (the Provider repeats it later), follows no redirect, accepts at most
	// 256 KiB of response, and logs neither request nor response. Its HTTP client is treated
	// as HTTPClient is. Region, Endpoint, HTTPClient, TracerProvider and MeterProvider then
	// do not affect the exchange. Default: an anonymous client that inherits nothing from
	// the application's service clients.
	STS stscreds.AssumeRoleWithWebIdentityAPIClient

	// Endpoint is the URL of STS; default: AWS_ENDPOINT_URL_STS, or else the region's
	// endpoint by the SDK's own rules. It has to be https://, see InsecureEndpoint, without
	// query and fragment. New logs a warning if it belongs to another region than Region.
	Endpoint string

	// InsecureEndpoint allows an endpoint with http:// that is not on this machine. Anyone on
	// the way can then read the token and the credentials, unless something else encrypts
	// the connection, such as a service mesh. Without it New returns an error for such an
	// endpoint. Loopback addresses (127.0.0.0/8, ::1, localhost) need no permission.
	InsecureEndpoint bool

	// HTTPClient sends the requests to STS; default: a client with the SDK's timeouts for
	// connecting, the proxy of the environment and the authorities of AWS_CA_BUNDLE.
	//
	// That client uses HTTP/1.1, follows no redirect, accepts at most 64 KiB of headers,
	// closes idle connections after 30 seconds and on Close, and after a failed request
	// uses no connection that was opened before it. The same holds for an
	// *awshttp.BuildableClient, whose settings are copied. An *http.Client is copied and
	// follows no redirect. Any other client must follow none: the exchange fails if it does,
	// but then the token may have been sent to another host.
	HTTPClient aws.HTTPClient

	// TracerProvider and MeterProvider get the SDK's spans and metrics of each exchange
	// with STS; default: none. A span starts a trace of its own, since an exchange
	// serves all callers. Both are called inside the exchange: what blocks there delays
	// it, and a panic is a failed one, so give them exporters that work in batches.
	TracerProvider tracing.TracerProvider
	MeterProvider  metrics.MeterProvider

	// AttemptTimeout is the limit of one exchange with STS; default: 10 s, at
	// most an hour.
	AttemptTimeout time.Duration

	// Logger gets a line where refreshing begins to fail, where there are no
	// valid credentials, where it has recovered, and at level Debug where the
	// token has been rotated; default: slog.Default(). Never a secret. A handler
	// that panics loses the line.
	Logger *slog.Logger

	// Observe, if it is not nil, is told of every attempt, every refusal and
	// every rotation: one event at a time, in their order, in a goroutine of its
	// own, which delays nobody. Of events that wait because it blocks the newest
	// 64 are kept; a panic in it is logged.
	Observe func(Event)
}
