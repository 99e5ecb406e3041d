package irsa

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
	"unique"
	"weak"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/evict"
	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/tokenfile"
)

// Defaults for PoolOptions.
const (
	defaultMaxRoles = 10_000
	defaultMaxCalls = 32
)

// maxIdleLifetimes is the number of unused credential lifetimes after which a role is no longer
// refreshed.
const maxIdleLifetimes = 2

const poolPending = 1024 // the capacity of a Pool's queues of log messages and events

// PoolOptions configures a [Pool]. Zero fields default to the environment variables set by the EKS
// webhook, or else to the documented default.
type PoolOptions struct {
	// Options are the defaults for [RoleOptions], including the role itself, which defaults to
	// AWS_ROLE_ARN. Observe receives the events of all roles. If it blocks, the newest 1,024 pending
	// events are kept, and after a token rotation, one more for each role.
	Options

	// MaxRoles limits the number of roles in the Pool that have obtained credentials. In addition, the
	// same number of roles may be waiting for their first credentials. If zero, a limit of 10,000 is
	// used. See [Pool] for what happens beyond the limit.
	MaxRoles int

	// MaxCalls limits the number of concurrent STS requests, and therefore of connections. If zero, a
	// limit of 32 is used; the maximum is 1,000,000.
	MaxCalls int
}

// Pool manages the Providers of many roles, one for each role, for example in a controller that acts
// for thousands of tenants. The Providers share an STS client, a watch of the token file and a limit
// on concurrent requests. A Pool is created by [NewPool] and should be closed with [Pool.Close] when
// no longer in use. All methods are safe for concurrent use.
//
// Exchanges with waiting callers take priority over background refreshes. A role whose credentials
// have not been used for two lifetimes is not refreshed until the next Retrieve. Roles do not have
// goroutines of their own.
//
// # Tenants
//
// A Pool is fair between tenants (see [RoleOptions]). Tenants take turns making exchanges. While
// several tenants are active, each may use at most half of MaxCalls, but at least one, and its failing
// roles at most half of that. Tenants with slow exchanges may use fewer. Throttling affects only the
// throttled tenant. An exchange that does not return within AttemptTimeout no longer counts against
// MaxCalls. See [cache.Limiter].
//
// A new role evicts another role if MaxRoles roles are already waiting for their first credentials.
// Likewise, a role that receives its first credentials evicts another role if MaxRoles roles already
// have credentials. If the tenant with the most roles exceeds an equal share of MaxRoles, it loses its
// least recently used role. Otherwise, the requesting tenant loses its own least recently used role.
// If it has no role to evict, all roles that have had neither callers nor valid credentials for an
// hour are evicted. If there are none of these either, [Pool.Provider] returns an [ErrPoolFull] error.
//
// The links of a role chain that has had credentials are not evicted before the chain. A chain that is
// still waiting for its first credentials is evicted along with any of its links.
//
// Callers can continue to use an evicted Provider, which keeps refreshing its credentials. However, it
// is no longer included in Status and Providers, and a new token does not end its backoff after a
// failure. The next call to [Pool.Provider] for its role returns a new Provider.
type Pool struct {
	*resources
	config  *config.Config
	limiter *cache.Limiter
	own     unique.Handle[restKey] // the key of the Pool's own settings

	mu      sync.Mutex // never held during I/O or calls to user code
	roles   map[roleKey]*Provider
	members *evict.Set[*Provider] // the same Providers
}

// NewPool returns a new Pool. It validates the options shared by the roles, and reports all problems
// in one [ErrNotConfigured] error. NewPool makes no requests, and reads the token only if no other
// setting determines the region.
func NewPool(optFns ...func(*PoolOptions)) (*Pool, error) {
	var opts PoolOptions
	for _, fn := range optFns {
		fn(&opts)
	}
	env := environment()
	c, errs := env.WithDefaults(opts.config())
	c.Source = config.SourceKeyOf(c.Token)
	env.Locate(context.Background(), &c, &errs)
	if len(errs) > 0 {
		return nil, notConfigured(&c, errs)
	}
	calls := cmp.Or(max(opts.MaxCalls, 0), defaultMaxCalls)
	p := &Pool{
		resources: newResources(&c, &opts.Options, calls, poolPending),
		config:    &c,
		limiter:   cache.NewLimiter(calls),
		own:       unique.Make(restKey{token: c.Source, session: c.SessionName, region: c.Region, policy: c.Policy, duration: c.Duration}),
		roles:     map[roleKey]*Provider{},
		members:   evict.New[*Provider](cmp.Or(max(opts.MaxRoles, 0), defaultMaxRoles)),
	}
	p.warn(env.Warnings(&c))
	return p, nil
}

// Provider returns the Provider for a role. It returns the same Provider for equal options, and
// performs no I/O. If it fails, it returns an [*Error] whose Kind is [ErrNotConfigured] if the options
// are invalid, [ErrPoolFull] if there is no room for another role, or [ErrClosed] after Close.
func (p *Pool) Provider(opts RoleOptions) (*Provider, error) {
	p.setDefaults(&opts)
	if err := config.CheckTokenSource(opts.Token); err != nil {
		return nil, notConfigured(p.config, config.Errors{{Heading: explain.HeadingTokenSource, Err: err}})
	}
	sourceKey := config.SourceKeyOf(opts.Token)
	opts.Tenant = cmp.Or(opts.Tenant, sourceKey.Identity)
	return p.provider(&opts, sourceKey)
}

// provider is like Provider, for options whose defaults have already been set.
func (p *Pool) provider(opts *RoleOptions, sourceKey config.SourceKey) (*Provider, error) {
	if opts.withinLimits(sourceKey) {
		if existing, err := p.lookup(opts, sourceKey); existing != nil || err != nil {
			return existing, err
		}
	}
	c, errs := p.role(opts, sourceKey)
	if len(errs) > 0 {
		return nil, notConfigured(c, errs)
	}
	configs := []*config.Config{c}
	for i := range opts.Chain {
		c, errs = p.link(configs[i], &opts.Chain[i], i)
		if len(errs) > 0 {
			return nil, notConfigured(c, errs)
		}
		configs = append(configs, c)
	}
	return p.add(opts, sourceKey, configs)
}

// lookup returns the Provider for opts and marks it as used. It returns nil if the Pool does not
// contain it.
func (p *Pool) lookup(opts *RoleOptions, sourceKey config.SourceKey) (*Provider, error) {
	var buffer [config.MaxChain]roleKey
	key, links := p.keyOf(opts, sourceKey), buffer[:0] // made without the lock, because they can be long
	for i := range opts.Chain {
		links = append(links, linkKey(&opts.Chain[i], nil))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.checkOpen(opts.target()); err != nil {
		return nil, err
	}
	provider := p.roles[key]
	for _, link := range links {
		if provider == nil {
			return nil, nil
		}
		link.source = provider
		provider = p.roles[link]
	}
	if provider != nil {
		p.members.Use(provider.member)
	}
	return provider, nil
}

// checkOpen returns an error if the Pool is closed.
func (p *Pool) checkOpen(roleARN string) error {
	if p.closed.Load() {
		return newError(explain.Facts{Kind: ErrClosed, RoleARN: roleARN}, explain.Cache(cache.ErrClosed))
	}
	return nil
}

// add returns the Provider for opts, whose roles have the given configs. It creates roles that are not
// in the Pool yet, evicting others if necessary.
func (p *Pool) add(opts *RoleOptions, sourceKey config.SourceKey, configs []*config.Config) (*Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.checkOpen(opts.target()); err != nil {
		return nil, err
	}
	var last *Provider
	for i, c := range configs {
		key := p.keyOf(opts, sourceKey)
		if i > 0 {
			key = linkKey(&opts.Chain[i-1], last)
		}
		next := p.roles[key]
		if next == nil {
			if i == 0 {
				next = newProvider(p.resources, c, p)
			} else {
				next = newChained(last, c, opts.Chain[i-1])
			}
			if !p.insert(key, next, last) {
				return nil, poolFull(c)
			}
		}
		last = next
	}
	p.members.Use(last.member)
	return last, nil
}

// Close closes the Pool and all Providers in it; see [Provider.Close]. It waits for up to
// Options.AttemptTimeout in total. An evicted Provider serves its credentials until they expire, but
// makes no further exchanges.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed.Store(true)
	p.mu.Unlock()
	deadline := time.Now().Add(p.config.Shared.AttemptTimeout)
	watch := p.watch.stop()
	var all []*Provider
	for _, provider := range p.all() {
		all = provider.appendClosing(all)
	}
	return errors.Join(closeCaches(all), p.release(watch, deadline))
}

// startWatch starts watching the token file for all roles.
func (p *Pool) startWatch() {
	pool := weak.Make(p)
	p.watch.start(p.config, nil, func() tokenHandler {
		if p := pool.Value(); p != nil {
			return p
		}
		return nil
	})
}

func (p *Pool) failing() bool {
	return slices.ContainsFunc(p.all(), func(role *Provider) bool { return role.config.TokenFile != "" && role.failing() })
}

func (p *Pool) handleToken(token tokenfile.Token) {
	all := p.all()
	p.lines.Reserve(len(all)) // each Provider reports the token
	p.events.Reserve(len(all))
	for _, provider := range all {
		if provider.config.TokenFile != "" {
			provider.handleToken(token)
		}
	}
}
