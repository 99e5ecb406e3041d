package main

import (
	"cmp"
	"context"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/irsakit/irsakit/irsa"
)

// maxWait is how long a request waits for the first credentials. minio-go holds a mutex meanwhile, so
// the client's other requests wait too. If possible, call WaitReady before the first request.
const maxWait = 5 * time.Second

// newCredentials returns minio-go credentials that always match those of p.
//
// Do not add them to credentials.NewChainCredentials. A chain ignores errors, and sends unsigned
// requests if none of its providers has credentials.
func newCredentials(p *irsa.Provider) *credentials.Credentials {
	return credentials.New(&provider{p})
}

// provider is a credentials.Provider that returns the credentials of an irsa.Provider.
type provider struct{ irsa *irsa.Provider }

// IsExpired always returns true, so that credentials are retrieved for every request. Otherwise,
// minio-go would keep them until they expire, even if p has had newer ones for a long time or they
// were rejected.
func (*provider) IsExpired() bool { return true }

// Retrieve calls RetrieveWithCredContext. It is used by older versions of minio-go.
func (p *provider) Retrieve() (credentials.Value, error) { return p.RetrieveWithCredContext(nil) }

// RetrieveWithCredContext returns the current credentials or an error. It never returns empty
// credentials, because minio-go would send an unsigned request.
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
