package irsa

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/internal/schedule"
)

// AssumeRole returns a Provider of a role that p's role assumes. The role can be in any
// account, and role chains can have any length. The role's trust policy must allow p's role,
// and p's role needs the permission sts:AssumeRole for it. The derived Provider has its own
// cache. Each of its exchanges signs with p's current credentials, and its sessions can
// outlive the credentials that signed for them.
//
// The options are those of the SDK, such as ExternalID, Tags, SourceIdentity and session
// policies. Unlike in the SDK, the default duration is one hour, which is also the maximum
// for role chaining, and the default session name is p's. If an option is invalid,
// AssumeRole returns an [*Error] of the kind [ErrNotConfigured]. If p or its Pool is closed,
// it returns one of the kind [ErrClosed]. It does no I/O.
//
// An error of the derived Provider names the role that could not be assumed: its own, or
// that of its source if the source has no credentials. The derived Provider is closed with
// p, or before that by its own Close.
func (p *Provider) AssumeRole(roleARN string, optFns ...func(*stscreds.AssumeRoleOptions)) (*Provider, error) {
	x := &chainExchange{source: p}
	x.config = p.config.Derive(roleARN)
	options := append([]func(*stscreds.AssumeRoleOptions){func(o *stscreds.AssumeRoleOptions) { o.Duration = config.MaxChainedDuration }}, optFns...)
	options = append(options, x.validate)
	x.provider = stscreds.NewAssumeRoleProvider(x, roleARN, options...)
	if len(x.errs) > 0 {
		return nil, notConfigured(x.config, x.errs)
	}
	derived := &Provider{config: x.config, state: &x.attemptState, watch: &watch{}, client: p.client, reporter: p.reporter, pool: p.pool, source: p}
	derived.initCache(x)
	if p.pool != nil && p.pool.closed.Load() || !p.derived.add(derived) {
		return nil, p.explain(context.Background(), cache.ErrClosed)
	}
	return derived, nil
}

// chainExchange is the source of a derived Provider's cache. Each attempt makes an AssumeRole
// request that is signed with the credentials of the source Provider.
type chainExchange struct {
	attemptState
	source   *Provider
	config   *config.Config
	errs     config.Errors
	provider *stscreds.AssumeRoleProvider

	signedWith string // the source's access key ID; needs no lock, because attempts never overlap
}

// validate checks the options. It runs as the last of the functions that set them.
func (x *chainExchange) validate(o *stscreds.AssumeRoleOptions) {
	x.errs = x.config.SetChainOptions(o)
	if _, ok := x.source.client.api.(stscreds.AssumeRoleAPIClient); !ok {
		x.errs.Add(explain.HeadingSettings, errors.New("the client of Options.STS cannot AssumeRole"))
	}
}

// Retrieve makes one request to STS, signed with the source's current credentials. If STS
// rejects those credentials and the source can replace them, it makes a second one.
func (x *chainExchange) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if pool := x.source.pool; pool != nil {
		if err := pool.checkOpen(x.config.RoleARN); err != nil {
			return aws.Credentials{}, err
		}
	}
	creds, err := x.provider.Retrieve(ctx)
	if rejected := x.rejectionOf(err); rejected.verdict != accepted {
		replaced, failure := x.source.replace(ctx, rejected)
		switch {
		case replaced:
			creds, err = x.provider.Retrieve(ctx)
			x.source.recordRejection(x.rejectionOf(err))
		case failure != nil:
			err = &rejectedError{service: err, exchange: failure}
		}
	}
	if err != nil {
		return aws.Credentials{}, x.wrapError(err)
	}
	x.recordKey(creds.AccessKeyID)
	return creds, nil
}

// rejectionOf returns the rejection of the source's credentials that a failed request reports, or
// the zero rejection if there is none.
func (x *chainExchange) rejectionOf(err error) rejection {
	var failure *explain.RequestError
	if !errors.As(err, &failure) {
		return rejection{}
	}
	return rejection{verdict: verdictOf(failure.Code), host: x.config.Host(), key: x.signedWith, code: failure.Code}
}

// AssumeRole implements the client of the SDK's provider. It makes one request, sets the
// session's name, and converts the expiry in the response to the local clock.
func (x *chainExchange) AssumeRole(ctx context.Context, input *sts.AssumeRoleInput, _ ...func(*sts.Options)) (out *sts.AssumeRoleOutput, err error) {
	source, err := x.source.Retrieve(ctx)
	if err != nil {
		return nil, &sourceError{x.source.config.RoleARN, err}
	}
	name := x.config.SessionName
	if name == "" {
		name = x.source.Status().SessionName
	}
	x.session.Store(&name)
	input.RoleSessionName = aws.String(name)
	x.signedWith = source.AccessKeyID
	secrets := secrets{source.SecretAccessKey, source.SessionToken}
	defer secrets.recoverPanic("the STS client", &err)
	client := x.source.client
	signed := func(o *sts.Options) { o.Credentials = signer{source, x.source} }
	recorded := newResponse(time.Duration(aws.ToInt32(input.DurationSeconds))*time.Second, secrets)
	out, err = client.api.(stscreds.AssumeRoleAPIClient).AssumeRole(ctx, input, client.singleRequest(x.config, recorded), signed)
	received := time.Now()
	if err != nil {
		return nil, client.failure(recorded, err)
	}
	if !isComplete(out) {
		return nil, fmt.Errorf("the reply has no credentials that are complete: %w", explain.ErrNotSTS)
	}
	if err := checkAssumed(x.config.RoleARN, out.AssumedRoleUser); err != nil {
		return nil, err
	}
	expires := recorded.expiry(*out.Credentials.Expiration, received)
	if left := expires.Sub(received.Round(0)); left < schedule.MinLifetime {
		return nil, fmt.Errorf("the reply has credentials that expire %v from now: %w", left.Round(time.Second), explain.ErrClock)
	}
	local, creds := *out, *out.Credentials // a mock can return the same output again
	local.Credentials, creds.Expiration = &creds, &expires
	return &local, nil
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

// signer provides the source's credentials for signing one request.
type signer struct {
	credentials aws.Credentials
	source      *Provider
}

// Retrieve returns the credentials.
func (s signer) Retrieve(context.Context) (aws.Credentials, error) { return s.credentials, nil }

// ProviderSources returns the source Provider's credential sources.
func (s signer) ProviderSources() []aws.CredentialSource { return s.source.ProviderSources() }
