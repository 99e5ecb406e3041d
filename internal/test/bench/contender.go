package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	minio "github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/irsakit/irsakit/irsa"
)

// A contender is a way to get credentials. Its HTTP client is for requests to STS; nil means the
// contender's default.
type contender struct {
	name string
	make func(context.Context, place, *http.Client) (aws.CredentialsProvider, error)
}

// open returns a provider of the contender, which is closed at the end of the test.
func (c contender) open(t *testing.T, at place, transport http.RoundTripper) aws.CredentialsProvider {
	provider, err := c.make(t.Context(), at, &http.Client{Transport: transport})
	must(t, err)
	if closer, ok := provider.(io.Closer); ok {
		t.Cleanup(func() { must(t, closer.Close()) })
	}
	return provider
}

const (
	static    = "static keys"
	ours      = "irsakit"
	sdk       = "SDK"
	sdkWindow = "SDK, window"
	minioGo   = "minio-go"
)

// The contenders are set up according to their documentation.
var (
	irsakit  = contender{ours, newIrsakit}
	asConfig = contender{sdk, newSDK(0)}
	// With half of the window as jitter, the SDK refreshes at 60% to 80% of the lifetime, as irsakit does.
	withWindow = contender{sdkWindow, newSDK(0.4)}
	// dynamic contains the contenders that send requests to STS.
	dynamic = []contender{irsakit, asConfig, withWindow, {minioGo, newMinio}}
)

// newStatic returns credentials without STS. They show the cost of the calls themselves.
func newStatic(context.Context, place, *http.Client) (aws.CredentialsProvider, error) {
	return credentials.NewStaticCredentialsProvider("ASIA", "secret", "token"), nil
}

const region = "us-west-2"

func newIrsakit(_ context.Context, at place, client *http.Client) (aws.CredentialsProvider, error) {
	return irsa.New(func(o *irsa.Options) {
		o.RoleARN, o.TokenFile, o.Region, o.Endpoint, o.Duration = at.RoleARN, at.TokenFile, region, at.Endpoint, at.Duration
		if client != nil {
			o.HTTPClient = client
		}
	})
}

// newSDK returns a constructor for the credentials that config.LoadDefaultConfig returns with
// the environment variables that the webhook injects. window is the ExpiryWindow as a share
// of the lifetime, and half of it is jitter; 0 means no ExpiryWindow.
func newSDK(window float64) func(context.Context, place, *http.Client) (aws.CredentialsProvider, error) {
	return func(ctx context.Context, at place, client *http.Client) (aws.CredentialsProvider, error) {
		for _, variable := range at.environ() {
			name, value, _ := strings.Cut(variable, "=")
			if err := os.Setenv(name, value); err != nil {
				return nil, err
			}
			defer os.Unsetenv(name) //nolint:errcheck // Unsetenv cannot fail after Setenv
		}
		options := []func(*config.LoadOptions) error{
			config.WithWebIdentityRoleCredentialOptions(func(o *stscreds.WebIdentityRoleOptions) { o.Duration = at.Duration }),
			config.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) {
				o.ExpiryWindow, o.ExpiryWindowJitterFrac = time.Duration(window*float64(at.Lifetime)), 0.5
			}),
		}
		if client != nil {
			options = append(options, config.WithHTTPClient(client))
		}
		cfg, err := config.LoadDefaultConfig(ctx, options...)
		return cfg.Credentials, err
	}
}

// newMinio returns the credentials of minio-go's NewIAM, configured for the pod. They read the
// environment on each refresh, so newSDK must not run at the same time.
func newMinio(_ context.Context, at place, client *http.Client) (aws.CredentialsProvider, error) {
	iam := &minio.IAM{Client: client, Endpoint: at.Endpoint, Region: region}
	iam.EKSIdentity.TokenFile, iam.EKSIdentity.RoleARN = at.TokenFile, at.RoleARN
	keys := minio.New(iam)
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		v, err := keys.GetWithContext(nil)
		return aws.Credentials{AccessKeyID: v.AccessKeyID, SecretAccessKey: v.SecretAccessKey, SessionToken: v.SessionToken,
			CanExpire: true, Expires: v.Expiration}, err
	}), nil
}

// traffic is a transport that counts its connections and calls.
type traffic struct {
	*http.Transport
	connections, calls atomic.Int64
}

// newTraffic returns the SDK's default transport, which all contenders use.
func newTraffic() *traffic {
	t := &traffic{Transport: awshttp.NewBuildableClient().GetTransport()}
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		t.connections.Add(1)
		return dial(ctx, network, address)
	}
	return t
}

func (t *traffic) RoundTrip(r *http.Request) (*http.Response, error) {
	t.calls.Add(1)
	return t.Transport.RoundTrip(r)
}
