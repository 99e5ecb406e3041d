package irsa

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/notify"
	"github.com/irsakit/irsakit/tokenfile"
)

// What a Pool holds and does at most, if PoolOptions do not say otherwise.
const (
	defaultMaxRoles = 10_000
	defaultMaxCalls = 32
)

// idleLives is after how many lives without use a Pool's roles are refreshed no more.
const idleLives = 2

// Of a Pool's events that wait, the newest so many are kept.
const poolEvents = 1024

// PoolOptions say what the roles of a [Pool] have in common. The zero value is what the
// EKS webhook injected.
type PoolOptions struct {
	// Options are what each role has that [RoleOptions] do not give: the role itself
	// too, so that AWS_ROLE_ARN is the default. Observe is told of the events of all
	// roles; of those that wait because it blocks the newest 1,024 are kept.
	Options

	// MaxRoles is how many roles the Pool knows at the same time, 10,000 if 0. Above
	// that the one that was asked for the longest time ago is forgotten: who asks for it
	// again gets another Provider. Who holds the old one is served as before, with
	// refreshes in time; but it is not in Status and Providers, and a new token does not
	// end its wait after a failure.
	MaxRoles int

	// MaxCalls is how many calls of STS are under way at the same time, 32 if 0, at most
	// 1,000,000, and so how many connections there are.
	MaxCalls int
}

// Pool has the Providers of many roles, one for each, with one STS client, one watch of the
// token file and a bound on the calls that are under way: for controllers that act for
// thousands of tenants. Make it with [NewPool] and end it with [Pool.Close]. All its
// methods are safe for concurrent use.
//
// Callers who wait for first credentials go before refreshes in the background. Roles
// whose exchange has failed hold at most half of the calls (one at least), so that they
// delay no other beyond that, and throttling slows all of them down. A role whose
// credentials nobody asked for in two of their lives is not refreshed until somebody does.
// There is no goroutine for a role.
type Pool struct {
	settings settings
	limiter  *cache.Limiter
	watch    watch
	events   notify.Queue[Event]
	most     int
	closed   atomic.Bool

	mu    sync.Mutex // never held across I/O
	roles map[roleKey]*list.Element
	order list.List // of *Provider, that was asked for last first
}

// NewPool returns a Pool. It validates what the roles have in common, and reports all that
// is wrong in one [*Error] of the kind [ErrNotConfigured]. It starts nothing on the
// network, and reads the token only where nothing else names the region.
func NewPool(optFns ...func(*PoolOptions)) (*Pool, error) {
	var opts PoolOptions
	for _, fn := range optFns {
		fn(&opts)
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	s, faults := complete(opts.Options)
	s.whose = tokenKeyOf(s.tokens)
	s.locate(context.Background(), &faults)
	if len(faults) > 0 {
		return nil, faults.error(s)
	}
	s.warn()
	calls := cmp.Or(max(opts.MaxCalls, 0), defaultMaxCalls)
	s.connect(calls)
	p := &Pool{
		settings: s,
		limiter:  cache.NewLimiter(calls),
		most:     cmp.Or(max(opts.MaxRoles, 0), defaultMaxRoles),
		roles:    map[roleKey]*list.Element{},
	}
	p.events.Capacity = poolEvents
	return p, nil
}

// Provider returns the Provider of a role, the same one for equal options. It does no I/O.
// Options that cannot be valid are an [*Error] of the kind [ErrNotConfigured]; after Close
// it is of the kind [ErrClosed].
func (p *Pool) Provider(opts RoleOptions) (*Provider, error) {
	opts = p.complete(opts)
	if opts.Token != nil {
		if err := checkTokenSource(opts.Token); err != nil {
			return nil, faults{{headingTokenSource, err}}.error(p.settings)
		}
	}
	whose := tokenKeyOf(opts.Token)
	var key roleKey
	if opts.fit(whose) {
		key = keyOf(opts, whose)
		if known, err := p.known(key); known != nil || err != nil {
			return known, err
		}
	}
	s, faults := p.role(opts, whose)
	if len(faults) > 0 {
		return nil, faults.error(*s)
	}
	x := &exchange{settings: s, pool: p}
	fresh := &Provider{settings: s, known: &x.known, watch: &p.watch, events: &p.events, pool: p}
	fresh.keep(x)
	return p.add(key, fresh)
}

// known returns the Provider of a key, nil if there is none.
func (p *Pool) known(key roleKey) (*Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.open(key.role); err != nil {
		return nil, err
	}
	element := p.roles[key]
	if element == nil {
		return nil, nil
	}
	p.order.MoveToFront(element)
	return element.Value.(*Provider), nil
}

// open returns an error if the Pool is closed.
func (p *Pool) open(roleARN string) error {
	if p.closed.Load() {
		return &Error{Kind: ErrClosed, RoleARN: roleARN}
	}
	return nil
}

// add makes a Provider that of its key, unless another one has come before it.
func (p *Pool) add(key roleKey, fresh *Provider) (*Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.open(key.role); err != nil {
		return nil, err
	}
	if element := p.roles[key]; element != nil {
		return element.Value.(*Provider), nil
	}
	p.roles[key] = p.order.PushFront(fresh)
	for len(p.roles) > p.most {
		last := p.order.Remove(p.order.Back()).(*Provider)
		delete(p.roles, last.settings.key())
	}
	return fresh, nil
}

// role are the settings of a role.
func (p *Pool) role(opts RoleOptions, whose tokenKey) (*settings, faults) {
	var faults faults
	s := p.settings
	s.RoleARN, s.SessionName, s.Region, s.Duration, s.Policy = opts.RoleARN, opts.SessionName, opts.Region, opts.Duration, opts.Policy
	s.PolicyARNs, s.tokens, s.whose = slices.Clone(opts.PolicyARNs[:min(len(opts.PolicyARNs), maxPolicyARNs+1)]), opts.Token, whose
	if whose != p.settings.whose {
		s.TokenFile = ""
	}
	faults.add(headingTokenSource, whose.validate(s.tokens))
	s.validateRole(&faults)
	switch {
	case s.Region == p.settings.Region:
	case s.STS != nil:
		faults.add(headingRegion, errors.New("a role has a region of its own, which the client of Options.STS has not"))
	default:
		faults.add(headingRegion, validateRegion(s.Region))
		faults.add(headingEndpoint, s.resolveEndpoint())
	}
	if s.Region == "" && s.STS == nil {
		faults.add(headingRegion, errors.New("there is no region: set AWS_REGION, PoolOptions.Region or RoleOptions.Region"))
	}
	return &s, faults
}

// PoolStatus is how a [Pool] is doing at one moment.
type PoolStatus struct {
	Roles   int // that it knows
	Failing int // of them, whose last exchange failed
	Without int // of the failing, which have no valid credentials
	Calls   cache.LimiterStatus
}

// Status returns how the Pool is doing. It looks at each role, which takes some 100 ns, and
// does no I/O.
func (p *Pool) Status() PoolStatus {
	s := PoolStatus{Calls: p.limiter.Status()}
	for role := range p.Providers() {
		s.Roles++
		switch status := role.cache.Status(); {
		case status.Failures == 0:
		case status.State == cache.Empty, status.State == cache.Expired:
			s.Without++
			fallthrough
		default:
			s.Failing++
		}
	}
	return s
}

// Providers returns the roles that the Pool knows, that was asked for last first, as they
// are when the loop begins. Each has a Status.
func (p *Pool) Providers() iter.Seq[*Provider] {
	return func(yield func(*Provider) bool) {
		for _, provider := range p.all() {
			if !yield(provider) {
				return
			}
		}
	}
}

func (p *Pool) all() []*Provider {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]*Provider, 0, p.order.Len())
	for element := p.order.Front(); element != nil; element = element.Next() {
		out = append(out, element.Value.(*Provider))
	}
	return out
}

// Close ends the Pool and every Provider that it knows, as [Provider.Close] does. One that
// it has forgotten serves what it has and makes no exchange any more.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed.Store(true)
	p.mu.Unlock()
	watch := p.watch.stop()
	var err error
	for provider := range p.Providers() {
		err = errors.Join(err, provider.end())
	}
	err = errors.Join(err, p.settings.wait(watch, p.events.Idle()))
	p.settings.disconnect()
	return err
}

// follow starts the watch of the token file, for all roles.
func (p *Pool) follow() {
	pool := weak.Make(p)
	p.watch.follow(p.settings.TokenFile, func() follower {
		if p := pool.Value(); p != nil {
			return p
		}
		return nil
	})
}

func (p *Pool) failing() bool {
	for provider := range p.Providers() {
		if provider.failing() {
			return true
		}
	}
	return false
}

func (p *Pool) found(token tokenfile.Token, another bool) {
	for provider := range p.Providers() {
		if provider.settings.TokenFile != "" {
			provider.found(token, another)
		}
	}
}
