package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
)

// loadConfig returns a configuration with the credentials that the environment offers, and what must
// be closed when they are not needed any more:
//
//   - IRSA, where the webhook has injected its variables
//   - EKS Pod Identity, where the pod's service account has an association
//   - the SDK's default credentials elsewhere, such as on a laptop
//
// If IRSA is injected but broken, it returns the error. Falling back would silently use the
// permissions of another role, such as the node's.
func loadConfig(ctx context.Context) (aws.Config, io.Closer, error) {
	p, err := irsa.New()
	if err == nil {
		return p.AWSConfig(), p, nil
	}
	if !errors.Is(err, irsa.ErrNotInjected) {
		return aws.Config{}, nil, err
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return aws.Config{}, nil, err
	}
	source := cfg.Credentials
	if uri := os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI"); uri != "" {
		source = podIdentity(uri, os.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
	}
	c := cache.New(source)
	cfg.Credentials = c // before any client is created
	return cfg, c, nil
}

// podIdentity returns a provider of the credentials of the EKS Pod Identity agent. The kubelet
// rotates the token file, so it is read for each request.
// https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
func podIdentity(uri, tokenFile string) aws.CredentialsProvider {
	return endpointcreds.New(uri, func(o *endpointcreds.Options) {
		o.AuthorizationTokenProvider = endpointcreds.TokenProviderFunc(func() (string, error) {
			token, err := os.ReadFile(tokenFile) // #nosec G304 G703 -- named by EKS
			return string(token), err
		})
	})
}
