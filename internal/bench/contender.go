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

// A contender is a way to get credentials. Its client is for STS.
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

// Each of them is made as its documentation says.
var (
	staticKeys = contender{static, newStatic}
	irsakit    = contender{ours, newIrsakit}
	asConfig   = contender{sdk, newSDK(0)}
	withWindow = contender{sdkWindow, newSDK(windowShare)}
	minioIAM   = contender{minioGo, newMinio}
)

// dynamic are the contenders that ask STS.
var dynamic = []contender{irsakit, asConfig, withWindow, minioIAM}

// newStatic makes credentials without STS: what the asking itself costs.
func newStatic(context.Context, Place, *http.Client) (aws.CredentialsProvider, error) {
	return credentials.NewStaticCredentialsProvider("ASIA", "secret", "token"), nil
}

func newIrsakit(_ context.Context, place Place, client *http.Client) (aws.CredentialsProvider, error) {
	return irsa.New(func(o *irsa.Options) {
		o.RoleARN, o.TokenFile, o.Region, o.Endpoint, o.HTTPClient = place.RoleARN, place.TokenFile, region, place.Endpoint, client
	})
}

const region = "us-west-2"

// windowShare of the life, of which half is jitter, is 60 to 80 % of it: when irsakit
// refreshes too.
const windowShare = 0.4

// The environment that config reads is one for all.
var environment sync.Mutex

// newSDK makes what config.LoadDefaultConfig makes from what the webhook injects, with an
// ExpiryWindow that is this share of the life, and half of it jitter; 0 is none.
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
			defer os.Unsetenv(name) //nolint:errcheck // it was set
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

// newMinio makes what minio-go's NewIAM makes, but told of the pod. It reads the environment
// too, whenever it refreshes, so newSDK must not be at work then.
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

// newTransport is the SDK's for all, with its limits.
func newTransport() *http.Transport { return awshttp.NewBuildableClient().GetTransport() }

// loaded makes a contender's provider and gets its first credentials.
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

// made makes a contender's provider, which counts its calls.
func made(ctx context.Context, c contender, place Place, t *traffic) (aws.CredentialsProvider, error) {
	provider, err := c.make(ctx, place, t.client(newTransport()))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return provider, nil
}

// closeProvider ends what has an end.
func closeProvider(provider aws.CredentialsProvider) {
	if closer, ok := provider.(io.Closer); ok {
		_ = closer.Close() // irsakit's, which gives nil
	}
}
