package exchange

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/internal/schedule"
)

// Signer provides the credentials that sign the requests of a role chain.
type Signer struct {
	Credentials aws.Credentials
	Sources     []aws.CredentialSource // reported in the User-Agent header
}

// Retrieve returns the credentials.
func (s Signer) Retrieve(context.Context) (aws.Credentials, error) { return s.Credentials, nil }

// ProviderSources returns the sources.
func (s Signer) ProviderSources() []aws.CredentialSource { return s.Sources }

// AssumeRole makes one request for credentials of the role of cfg. It converts the expiry in the
// response to the local clock.
func (c *Client) AssumeRole(ctx context.Context, cfg *config.Config, input *sts.AssumeRoleInput, signer Signer) (out *sts.AssumeRoleOutput, err error) {
	secrets := secrets{signer.Credentials.SecretAccessKey, signer.Credentials.SessionToken}
	defer secrets.recoverPanic("the STS client", &err)
	signed := func(o *sts.Options) { o.Credentials = signer }
	recorded := newResponse(time.Duration(aws.ToInt32(input.DurationSeconds))*time.Second, secrets)
	out, err = c.api.(stscreds.AssumeRoleAPIClient).AssumeRole(ctx, input, c.singleRequest(cfg, recorded), signed)
	received := time.Now()
	if err != nil {
		return nil, c.failure(recorded, err)
	}
	account, expires, err := check(cfg, out, recorded, received)
	if err != nil {
		return nil, recorded.unusable(err)
	}
	local, creds := *out, *out.Credentials // a mock can return the same output again
	local.Credentials, creds.Expiration = &creds, &expires
	if account == "" {
		local.AssumedRoleUser = nil // the SDK's provider would take any account from it
	}
	return &local, nil
}

// check returns the account in a response and the expiry of the credentials on the local clock, or an error if
// they cannot be used. The response was complete at received.
func check(cfg *config.Config, out *sts.AssumeRoleOutput, recorded *response, received time.Time) (account string, expires time.Time, err error) {
	if !isComplete(out) {
		return "", time.Time{}, fmt.Errorf("the response contains incomplete credentials: %w", explain.ErrNotSTS)
	}
	if c := out.Credentials; !canBeSent(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken) {
		return "", time.Time{}, errUnusable
	}
	if account, err = checkAssumed(cfg.RoleARN, out.AssumedRoleUser); err != nil {
		return "", time.Time{}, err
	}
	expires = recorded.expiry(*out.Credentials.Expiration, received)
	if left := expires.Sub(received.Round(0)); left < schedule.MinLifetime {
		return "", time.Time{}, fmt.Errorf("the credentials in the response expire in %v: %w", left.Round(time.Second), explain.ErrClock)
	}
	return account, expires, nil
}

// isComplete reports whether a response has all the fields that the SDK's provider reads.
func isComplete(out *sts.AssumeRoleOutput) bool {
	if out == nil || out.Credentials == nil {
		return false
	}
	c := out.Credentials
	return aws.ToString(c.AccessKeyId) != "" && aws.ToString(c.SecretAccessKey) != "" && c.SessionToken != nil &&
		c.Expiration != nil && !c.Expiration.IsZero()
}
