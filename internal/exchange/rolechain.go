package exchange

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
)

// Signer provides the credentials that sign role chain requests.
type Signer struct {
	Credentials aws.Credentials
	Sources     []aws.CredentialSource // reported in the User-Agent header
}

// Retrieve returns the credentials.
func (s Signer) Retrieve(context.Context) (aws.Credentials, error) { return s.Credentials, nil }

// ProviderSources returns the sources.
func (s Signer) ProviderSources() []aws.CredentialSource { return s.Sources }

// AssumeRole makes a single request for credentials of the role in cfg, whose State is state. It
// converts the expiry in the response to the local clock.
func (c *Client) AssumeRole(ctx context.Context, cfg *config.Config, state *State, input *sts.AssumeRoleInput, signer Signer) (out *sts.AssumeRoleOutput, err error) {
	secrets := append(secrets{signer.Credentials.SecretAccessKey, signer.Credentials.SessionToken}, state.lastIssued()...)
	defer secrets.recoverPanic("the STS client", &err)
	growStack()
	signed := func(o *sts.Options) { o.Credentials = signer }
	recorded := newRecording(cfg, time.Duration(aws.ToInt32(input.DurationSeconds))*time.Second, secrets)
	out, err = c.api.(stscreds.AssumeRoleAPIClient).AssumeRole(ctx, input, c.singleRequest(recorded), signed)
	received := time.Now()
	if err != nil {
		return nil, c.failure(recorded.last(), err)
	}
	return recorded.assumed(cfg.RoleARN, state, out, received)
}

// assumed returns a copy of out with the expiry of its credentials on the local clock, and records
// their keys in state. It returns an error if they are unusable.
func (c *recording) assumed(roleARN string, state *State, out *sts.AssumeRoleOutput, received time.Time) (*sts.AssumeRoleOutput, error) {
	if out == nil {
		return nil, errNoResult
	}
	r := c.with(out.Credentials)
	creds, err := r.credentials(roleARN, out.Credentials, out.AssumedRoleUser, received)
	if err != nil {
		return nil, r.unusable(err)
	}
	state.setIssued(creds.SecretAccessKey, creds.SessionToken)
	local := *out // copied because a mock can return the same output again
	local.Credentials = &types.Credentials{
		AccessKeyId: &creds.AccessKeyID, SecretAccessKey: &creds.SecretAccessKey, SessionToken: &creds.SessionToken, Expiration: &creds.Expires,
	}
	if creds.AccountID == "" {
		local.AssumedRoleUser = nil // otherwise, the SDK's provider would use any account in it
	}
	return &local, nil
}

// CheckedClient wraps an application's client for a role chain. It validates responses as
// [Client.AssumeRole] does.
type CheckedClient struct {
	client  Client // without an API unless api is an SDK client
	api     stscreds.AssumeRoleAPIClient
	roleARN string
	state   State // only the keys issued last are used
}

// NewCheckedClient returns a CheckedClient that calls api.
func NewCheckedClient(api stscreds.AssumeRoleAPIClient, roleARN string) *CheckedClient {
	c := &CheckedClient{api: api, roleARN: roleARN}
	if own, ok := api.(*sts.Client); ok && own != nil {
		c.client.api = own
	}
	return c
}

// AssumeRole calls the client. An SDK client or a wrapper of one makes a single request, with its own
// region and endpoint. Any endpoint is allowed, because the request does not contain a web identity
// token.
func (c *CheckedClient) AssumeRole(ctx context.Context, input *sts.AssumeRoleInput, optFns ...func(*sts.Options)) (out *sts.AssumeRoleOutput, err error) {
	secrets := c.state.lastIssued()
	defer secrets.recoverPanic("the STS client", &err)
	cfg := &config.Config{Shared: &config.Shared{InsecureEndpoint: true}}
	recorded := newRecording(cfg, time.Duration(aws.ToInt32(input.DurationSeconds))*time.Second, secrets)
	out, err = c.api.AssumeRole(ctx, input, append(slices.Clip(optFns), c.client.singleRequest(recorded))...)
	received := time.Now()
	switch last := recorded.last(); {
	case err == nil:
		return recorded.assumed(c.roleARN, &c.state, out, received)
	case last.status == 0 && last.err == nil && errors.As(err, new(*explain.RequestError)):
		return nil, err // this client wraps the library's, or signs with a Provider that has no credentials
	default:
		return nil, c.client.failure(last, err)
	}
}
