package main

import (
	"context"
	"errors"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
)

// loadConfig returns a configuration with the credentials available in the environment, and a Closer
// to call when they are no longer needed:
//
//   - IRSA if the webhook has injected its variables
//   - otherwise, the SDK's default credentials: EKS Pod Identity if the pod's service account has an
//     association, or for example the user's profile on a laptop
//
// If IRSA is injected but broken, loadConfig returns the error, because falling back would silently
// use the permissions of another role, such as the node's.
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
	c := cache.New(cfg.Credentials)
	cfg.Credentials = c // before any client is created
	return cfg, c, nil
}
