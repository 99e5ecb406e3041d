// Package objstore provides the credentials of Thanos's S3 buckets.
package objstore

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
)

// maxWait is how long a request waits for the first credentials. minio-go holds a mutex while it
// waits.
const maxWait = 10 * time.Second

// AWSCredentials is a credentials.Provider of minio-go. Its source keeps the credentials fresh.
//
// Do not use it with credentials.NewChainCredentials: a chain ignores errors, and sends requests
// without a signature if no provider has credentials.
type AWSCredentials struct {
	source aws.CredentialsProvider
	io.Closer
}

// NewAWSCredentials returns the credentials of the pod's role if IRSA is injected, and otherwise those of the
// SDK's default chain. If IRSA is injected but not valid, it returns an error: another identity
// would have the permissions of the node.
func NewAWSCredentials(ctx context.Context, region string, optFns ...func(*irsa.Options)) (*AWSCredentials, error) {
	setRegion := func(o *irsa.Options) { o.Region = cmp.Or(region, o.Region) }
	p, err := irsa.New(append(optFns, setRegion)...)
	if err == nil {
		return &AWSCredentials{p, p}, nil
	}
	if !errors.Is(err, irsa.ErrNotInjected) {
		return nil, err
	}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(region))
	if err != nil {
		return nil, err
	}
	c := cache.New(cfg.Credentials)
	return &AWSCredentials{c, c}, nil
}

// IsExpired returns true, so that minio-go asks the source for each request.
func (*AWSCredentials) IsExpired() bool { return true }

// Retrieve calls RetrieveWithCredContext.
func (c *AWSCredentials) Retrieve() (credentials.Value, error) { return c.RetrieveWithCredContext(nil) }

// RetrieveWithCredContext returns valid credentials or an error, but never empty credentials, with
// which minio-go would send a request without a signature.
func (c *AWSCredentials) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	creds, err := c.source.Retrieve(ctx)
	if err != nil {
		return credentials.Value{}, err
	}
	return credentials.Value{
		AccessKeyID:     creds.AccessKeyID,
		SecretAccessKey: creds.SecretAccessKey,
		SessionToken:    creds.SessionToken,
		Expiration:      creds.Expires,
		SignerType:      credentials.SignatureV4,
	}, nil
}
