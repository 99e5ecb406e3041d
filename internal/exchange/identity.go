package exchange

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/irsakit/irsakit/internal/config"
)

// identityClient is an STS client that can return the identity of credentials.
type identityClient interface {
	GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error)
}

// CanIdentify reports whether the client can return the identity of credentials.
func (c *Client) CanIdentify() bool {
	_, ok := c.api.(identityClient)
	return ok
}

// Identify returns the ARN of the identity of credentials.
func (c *Client) Identify(ctx context.Context, cfg *config.Config, creds aws.Credentials) (string, error) {
	recorded := newResponse(0, secrets{creds.SessionToken, creds.SecretAccessKey})
	signed := func(o *sts.Options) { o.Credentials = Signer{Credentials: creds} }
	out, err := c.api.(identityClient).GetCallerIdentity(ctx, nil, c.singleRequest(cfg, recorded), signed)
	if err != nil {
		return "", c.failure(recorded, err)
	}
	return aws.ToString(out.Arn), nil
}
