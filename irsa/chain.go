package irsa

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"unique"
	"weak"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/exchange"
	"github.com/irsakit/irsakit/internal/explain"
)

// AssumeRole returns a Provider for a role that p's role assumes. The role can be in any account, and
// role chains can have any length. The role's trust policy must allow p's role, and p's role needs the
// permission sts:AssumeRole for it. The derived Provider has its own cache. Each of its exchanges is
// signed with p's current credentials, and the resulting sessions can outlive those credentials.
//
// The options are those of the SDK, such as ExternalID, Tags, SourceIdentity and session policies, but
// the duration defaults to one hour, which is also the maximum for role chaining, and the session name
// defaults to p's. If the options replace Client, the new one signs and sends the requests, and its
// responses are validated as usual. Unless it calls the original one, the session name then defaults
// to that of the SDK, also for the roles that the derived Provider assumes.
//
// AssumeRole performs no I/O. If an option is invalid, it returns an [ErrNotConfigured] error. If p or
// its Pool is closed, it returns an [ErrClosed] error.
//
// If p was obtained from a [Pool], AssumeRole is equivalent to [Pool.Provider] with p's options and
// the role appended to Chain. It returns the same Provider for equal options, or an [ErrPoolFull]
// error if there is no room for the role. The Provider counts against p's tenant, so if several
// tenants use p, set Tenant and Chain of [RoleOptions] instead. Options that cannot be compared
// (SerialNumber, TokenProvider, another Client, empty strings, and two tags with the same key) yield a
// separate Provider, which the Pool does not share or count.
//
// Errors of the derived Provider name the role that could not be assumed: the source's role if the
// source has no credentials, otherwise the derived Provider's. Closing p also closes the derived
// Provider, unless it belongs to a Pool, in which case only the Pool closes it.
func (p *Provider) AssumeRole(roleARN string, optFns ...func(*stscreds.AssumeRoleOptions)) (*Provider, error) {
	if p.closed.Load() {
		return nil, p.explain(context.Background(), cache.ErrClosed)
	}
	var options stscreds.AssumeRoleOptions
	fns := append([]func(*stscreds.AssumeRoleOptions){func(o *stscreds.AssumeRoleOptions) { o.Duration = config.MaxChainedDuration }}, optFns...)
	x := &chainExchange{source: p}
	stscreds.NewAssumeRoleProvider(x, roleARN, append(fns, func(o *stscreds.AssumeRoleOptions) { options = *o })...)
	if role, ok := chainedRoleOf(&options, x); ok && p.member != nil {
		opts, sourceKey := optionsOf(p)
		opts.Chain = append(opts.Chain, role)
		return p.pool.provider(opts, sourceKey)
	}
	x.config = p.config.Derive(options.RoleARN)
	errs := x.config.SetChainOptions(&options)
	if options.Client == x {
		errs.Add(explain.HeadingSettings, checkAssumeRole(p.resources))
	}
	errs.Add(explain.HeadingSettings, config.CheckClient(options.Client))
	if len(errs) > 0 {
		return nil, notConfigured(x.config, errs)
	}
	x.provider = stscreds.NewAssumeRoleProvider(x, roleARN, func(o *stscreds.AssumeRoleOptions) {
		if *o = config.CopyChainOptions(options); o.Client != x {
			o.Client = exchange.NewCheckedClient(o.Client, o.RoleARN)
		}
	})
	derived := x.newProvider()
	if !p.derived.add(derived) {
		return nil, p.explain(context.Background(), cache.ErrClosed)
	}
	return derived, nil
}

// checkAssumeRole returns an error if the STS client does not support AssumeRole.
func checkAssumeRole(r *resources) error {
	if !r.client.CanAssumeRole() {
		return errors.New("the client in Options.STS does not support AssumeRole")
	}
	return nil
}

// chainExchange is the source of a derived Provider's cache. Each attempt makes an AssumeRole request
// signed with the source Provider's credentials.
type chainExchange struct {
	attemptState
	source   *Provider
	derived  *Provider
	config   *config.Config
	provider *stscreds.AssumeRoleProvider // nil if the derived Provider belongs to a Pool

	// Set if the derived Provider belongs to a Pool. config contains the role's other options.
	tags              map[string]string
	transitiveTagKeys []string
	sourceIdentity    string

	// The access key ID of the source that signed the last request, or empty if an application's client
	// made it. It needs no lock, because attempts never overlap.
	signedWith string
}

// newChained returns a Pool's Provider for a role that source assumes.
func newChained(source *Provider, c *config.Config, role ChainedRole) *Provider {
	x := &chainExchange{source: source, config: c, sourceIdentity: role.SourceIdentity}
	x.tags, x.transitiveTagKeys = maps.Clone(role.Tags), slices.Clone(role.TransitiveTagKeys)
	return x.newProvider()
}

// role returns the options of the role. The derived Provider must belong to a Pool.
func (x *chainExchange) role() *ChainedRole {
	c := x.config
	return &ChainedRole{
		RoleARN: c.RoleARN, SessionName: c.SessionName, Duration: c.Duration, Policy: c.Policy, PolicyARNs: c.PolicyARNs, ExternalID: c.ExternalID,
		Tags: x.tags, TransitiveTagKeys: x.transitiveTagKeys, SourceIdentity: x.sourceIdentity,
	}
}

func (x *chainExchange) newProvider() *Provider {
	x.derived = &Provider{resources: x.source.resources, config: x.config, state: &x.attemptState, pool: x.source.pool, chain: x}
	x.derived.initCache(x)
	return x.derived
}

// Retrieve makes a request to STS signed with the source's current credentials. If STS rejects them
// and the source can replace them, Retrieve retries once.
func (x *chainExchange) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if err := x.derived.begin(); err != nil {
		return aws.Credentials{}, err
	}
	provider := x.sdkProvider()
	creds, rejected, err := x.request(ctx, provider)
	if rejected.verdict != accepted {
		replaced, failure := x.source.replace(ctx, rejected)
		switch {
		case replaced:
			creds, rejected, err = x.request(ctx, provider)
			x.source.recordRejection(rejected)
		case failure != nil:
			err = &rejectedError{service: err, exchange: failure}
		}
	}
	if err != nil {
		return aws.Credentials{}, chainError(x, err)
	}
	x.derived.obtained(creds)
	return creds, nil
}

// request makes one request and returns any rejection of the source's credentials. It also records
// acceptance by STS. AccessDenied counts as acceptance, because it shows that STS recognized the
// credentials.
func (x *chainExchange) request(ctx context.Context, provider *stscreds.AssumeRoleProvider) (aws.Credentials, rejection, error) {
	x.signedWith = ""
	creds, err := provider.Retrieve(ctx)
	r := x.rejectionOf(err)
	if err == nil || r.code == "AccessDenied" {
		x.source.recordAcceptance(x.config.Host(), x.signedWith)
	}
	return creds, r, err
}

// sdkProvider returns the SDK's provider, which builds the request. In a Pool it is created for each
// attempt, to save memory when there are thousands of chains.
func (x *chainExchange) sdkProvider() *stscreds.AssumeRoleProvider {
	if x.provider != nil {
		return x.provider
	}
	return stscreds.NewAssumeRoleProvider(x, x.config.RoleARN, x.role().apply)
}

// rejectionOf returns the rejection of the source's credentials reported by err, or the zero rejection
// if err is not from a request signed with them. An Error of the source is not, although it can contain
// a response from STS.
func (x *chainExchange) rejectionOf(err error) rejection {
	var failure *explain.RequestError
	if errors.As(err, new(*Error)) || !errors.As(err, &failure) {
		return rejection{}
	}
	return rejection{verdict: verdictOf(failure.Code), host: x.config.Host(), key: x.signedWith, code: failure.Code}
}

// AssumeRole implements stscreds.AssumeRoleAPIClient. It sets the session name and makes one request. If
// the source has no known session name, because its session is from an application's client, the SDK's
// default in input is used.
func (x *chainExchange) AssumeRole(ctx context.Context, input *sts.AssumeRoleInput, _ ...func(*sts.Options)) (*sts.AssumeRoleOutput, error) {
	source, err := x.source.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	name := unique.Make(cmp.Or(x.config.SessionName, x.source.Status().SessionName, aws.ToString(input.RoleSessionName)))
	x.SessionName.Store(&name)
	input.RoleSessionName = aws.String(name.Value())
	x.signedWith = source.AccessKeyID
	return x.source.client.AssumeRole(ctx, x.config, &x.State, input, exchange.Signer{Credentials: source, Sources: x.source.ProviderSources()})
}

// derivedProviders is the set of Providers derived from a source. Its references are weak, so that
// unused Providers can be garbage collected.
type derivedProviders struct {
	mu     sync.Mutex
	closed bool
	all    []weak.Pointer[Provider]
}

// add adds p and reports whether it succeeded. It fails after close.
func (d *derivedProviders) add(p *Provider) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	if len(d.all) == cap(d.all) { // makes add take amortized constant time
		d.all = d.reachable()
	}
	d.all = append(d.all, weak.Make(p))
	return true
}

// reachable returns the Providers that have not been collected, with room to double. d.mu must be
// held.
func (d *derivedProviders) reachable() []weak.Pointer[Provider] {
	var out []weak.Pointer[Provider]
	for _, w := range d.all {
		if w.Value() != nil {
			out = append(out, w)
		}
	}
	return slices.Grow(out, len(out)+1)
}

// each calls f for each derived Provider that is still reachable, without holding d.mu.
func (d *derivedProviders) each(f func(*Provider)) {
	d.mu.Lock()
	all := d.all
	d.mu.Unlock()
	for _, w := range all {
		if p := w.Value(); p != nil {
			f(p)
		}
	}
}

// close makes later calls of add fail.
func (d *derivedProviders) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
}
