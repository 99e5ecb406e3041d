package exchange

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
)

// identityClient is an STS client that supports GetCallerIdentity.
type identityClient interface {
	GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error)
}

// CanIdentify reports whether the client supports GetCallerIdentity.
func (c *Client) CanIdentify() bool {
	_, ok := c.api.(identityClient)
	return ok
}

// Identify returns the ARN that the credentials belong to.
func (c *Client) Identify(ctx context.Context, cfg *config.Config, creds aws.Credentials) (name string, err error) {
	secrets := secrets{creds.SessionToken, creds.SecretAccessKey}
	defer secrets.recoverPanic("the STS client", &err)
	recorded := newRecording(cfg, 0, secrets)
	signed := func(o *sts.Options) { o.Credentials = Signer{Credentials: creds} }
	out, err := c.api.(identityClient).GetCallerIdentity(ctx, nil, c.singleRequest(recorded), signed)
	if err != nil {
		return "", c.failure(recorded.last(), err)
	}
	if out == nil || aws.ToString(out.Arn) == "" {
		return "", fmt.Errorf("the response contains no identity: %w", explain.ErrNotSTS)
	}
	return secrets.redact(*out.Arn), nil
}
