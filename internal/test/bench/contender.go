package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	minio "github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/irsakit/irsakit/irsa"
)

// A contender is a way to get credentials. Its HTTP client is for requests to STS.
type contender struct {
	name string
	make func(context.Context, Place, *http.Client) (aws.CredentialsProvider, error)
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
	staticKeys = contender{static, newStatic}
	irsakit    = contender{ours, newIrsakit}
	asConfig   = contender{sdk, newSDK(0)}
	withWindow = contender{sdkWindow, newSDK(windowShare)}
	minioIAM   = contender{minioGo, newMinio}
)

// dynamic contains the contenders that send requests to STS.
var dynamic = []contender{irsakit, asConfig, withWindow, minioIAM}

// newStatic returns credentials without STS. They show the cost of the calls themselves.
func newStatic(context.Context, Place, *http.Client) (aws.CredentialsProvider, error) {
	return credentials.NewStaticCredentialsProvider("ASIA", "secret", "token"), nil
}

func newIrsakit(_ context.Context, place Place, client *http.Client) (aws.CredentialsProvider, error) {
	return irsa.New(func(o *irsa.Options) {
		o.RoleARN, o.TokenFile, o.Region, o.Endpoint, o.HTTPClient = place.RoleARN, place.TokenFile, region, place.Endpoint, client
	})
}

const region = "us-west-2"

// windowShare is the ExpiryWindow as a share of the lifetime. With half of it as jitter, the
// SDK refreshes at 60% to 80% of the lifetime, as irsakit does.
const windowShare = 0.4

// environment guards the environment variables that the config package reads.
var environment sync.Mutex

// newSDK returns a constructor for the credentials that config.LoadDefaultConfig returns with
// the environment variables that the webhook injects. window is the ExpiryWindow as a share
// of the lifetime, and half of it is jitter; 0 means no ExpiryWindow.
func newSDK(window float64) func(context.Context, Place, *http.Client) (aws.CredentialsProvider, error) {
	return func(ctx context.Context, place Place, client *http.Client) (aws.CredentialsProvider, error) {
		environment.Lock()
		defer environment.Unlock()
		for name, value := range map[string]string{
			"AWS_ROLE_ARN": place.RoleARN, "AWS_WEB_IDENTITY_TOKEN_FILE": place.TokenFile,
			"AWS_REGION": region, "AWS_ENDPOINT_URL_STS": place.Endpoint,
		} {
			if err := os.Setenv(name, value); err != nil {
				return nil, err
			}
			defer os.Unsetenv(name) //nolint:errcheck // Unsetenv cannot fail after Setenv
		}
		options := []func(*config.LoadOptions) error{config.WithHTTPClient(client)}
		if window > 0 {
			options = append(options, config.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) {
				o.ExpiryWindow, o.ExpiryWindowJitterFrac = time.Duration(window*float64(place.Life)), 0.5
			}))
		}
		cfg, err := config.LoadDefaultConfig(ctx, options...)
		return cfg.Credentials, err
	}
}

// newMinio returns the credentials of minio-go's NewIAM, configured for the pod. They read the
// environment on each refresh, so newSDK must not run at the same time.
func newMinio(_ context.Context, place Place, client *http.Client) (aws.CredentialsProvider, error) {
	iam := &minio.IAM{Client: client, Endpoint: place.Endpoint, Region: region}
	iam.EKSIdentity.TokenFile, iam.EKSIdentity.RoleARN = place.TokenFile, place.RoleARN
	keys := minio.New(iam)
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		v, err := keys.GetWithContext(nil)
		return aws.Credentials{AccessKeyID: v.AccessKeyID, SecretAccessKey: v.SecretAccessKey, SessionToken: v.SessionToken,
			CanExpire: true, Expires: v.Expiration}, err
	}), nil
}

// newTransport returns the SDK's default transport, which all contenders use.
func newTransport() *http.Transport { return awshttp.NewBuildableClient().GetTransport() }

// loaded returns a provider of the contender after it has got its first credentials.
func loaded(ctx context.Context, c contender, place Place, t *traffic) (aws.CredentialsProvider, error) {
	provider, err := made(ctx, c, place, t)
	if err != nil {
		return nil, err
	}
	if _, err := provider.Retrieve(ctx); err != nil {
		closeProvider(provider)
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return provider, nil
}

// made returns a provider of the contender. t counts its calls.
func made(ctx context.Context, c contender, place Place, t *traffic) (aws.CredentialsProvider, error) {
	provider, err := c.make(ctx, place, t.client(newTransport()))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return provider, nil
}

// closeProvider closes a provider that has a Close method.
func closeProvider(provider aws.CredentialsProvider) {
	if closer, ok := provider.(io.Closer); ok {
		_ = closer.Close() // a Provider of irsakit, whose Close returns nil
	}
}
