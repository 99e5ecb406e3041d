package main

import (
	"cmp"
	"context"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/irsakit/irsakit/irsa"
)

// maxWait is how long a request waits for the first credentials. minio-go holds a mutex while it
// waits, so the client's other requests wait too. Call WaitReady before the first request if
// possible.
const maxWait = 5 * time.Second

// newCredentials returns minio-go credentials that are always those of p.
//
// Do not add them to credentials.NewChainCredentials: a chain ignores errors, and sends requests
// without a signature if no provider has credentials.
func newCredentials(p *irsa.Provider) *credentials.Credentials {
	return credentials.New(&provider{p})
}

// provider is a credentials.Provider that returns the credentials of an irsa.Provider.
type provider struct{ irsa *irsa.Provider }

// IsExpired reports that the credentials must be retrieved for each request. minio-go would keep
// others until they expire, although p has had newer ones for a long time, or they were rejected.
func (*provider) IsExpired() bool { return true }

// Retrieve calls RetrieveWithCredContext. Older versions of minio-go use it.
func (p *provider) Retrieve() (credentials.Value, error) { return p.RetrieveWithCredContext(nil) }

// RetrieveWithCredContext returns the current credentials, or an error, but never empty
// credentials: minio-go would send a request without a signature.
func (p *provider) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	ctx := context.Background()
	if cc != nil {
		ctx = cmp.Or(cc.Context, ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	creds, err := p.irsa.Retrieve(ctx)
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
