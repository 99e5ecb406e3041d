package irsa

import (
	"cmp"
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/exchange"
	"github.com/irsakit/irsakit/internal/follow"
)

// attempts is the source of a Provider's cache. Each attempt exchanges the current token for
// credentials.
type attempts struct {
	attemptState
	provider *Provider
}

// newProvider returns a Provider that exchanges web identity tokens for credentials of c's role. pool
// is nil if the Provider is created by New.
func newProvider(r *resources, c *config.Config, pool *Pool) *Provider {
	a := &attempts{}
	a.provider = &Provider{resources: r, config: c, state: &a.attemptState, pool: pool}
	a.provider.initCache(a)
	return a.provider
}

// Retrieve exchanges the current token for credentials.
func (a *attempts) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if err := a.provider.begin(); err != nil {
		return aws.Credentials{}, err
	}
	x := exchange.WebIdentity{State: &a.State, Config: a.provider.config, Client: a.provider.client}
	creds, err := x.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, exchangeError(&x, err)
	}
	a.provider.obtained(creds)
	return creds, nil
}

// begin records the start of an attempt. It returns an error if p's Pool is closed.
func (p *Provider) begin() error {
	if p.pool == nil {
		return nil
	}
	if p.member != nil {
		p.pool.keep(p)
	}
	return p.pool.checkOpen(p.config.RoleARN)
}

// obtained confirms p in its Pool, if any, after an attempt has obtained credentials.
func (p *Provider) obtained(creds aws.Credentials) {
	if p.member != nil {
		p.pool.confirm(p, time.Until(creds.Expires))
	}
}

// followedSource is the source of a Provider's cache, which reports the result of each attempt to it.
type followedSource struct {
	aws.CredentialsProvider // an exchange
	provider                *Provider
}

// Completed starts watching the token file. After a failure, it makes the watch poll immediately.
// After a success, it makes failed derived Providers retry.
func (s followedSource) Completed(outcome follow.Outcome) {
	s.provider.startWatch()
	switch {
	case outcome.Err == nil:
		s.provider.state.shared.Store(nil) // no longer needed
		s.provider.derived.each(func(p *Provider) { p.cache.Wake() })
	case s.provider.chain == nil: // an exchange of a token
		s.provider.watch.pollNow()
	}
}

// Explain converts an error of the cache to an Error.
func (s followedSource) Explain(ctx context.Context, err error) error {
	return s.provider.explain(ctx, err)
}

func (s followedSource) ProviderSources() []aws.CredentialSource {
	return s.provider.ProviderSources()
}

// Serve records the access key of credentials that the Provider will return.
func (s followedSource) Serve(accessKeyID string) { s.provider.state.keys.record(accessKeyID) }

// Logger returns a logger that adds the role to each message. It is created on demand, so that an idle
// Provider does not retain it.
func (s followedSource) Logger() *slog.Logger {
	return cmp.Or(s.provider.logger, slog.Default()).With("role", s.provider.config.RoleARN)
}

// Record queues an event for Options.Observe.
func (s followedSource) Record(e cache.Event) {
	if s.provider.observe != nil {
		queued, token := e, s.provider.state.NewestToken.Load() // capturing e would allocate it even without an observer
		s.provider.event(func() Event { return s.provider.eventOf(queued, token) })
	}
}

// attemptState is the state shared by a Provider's attempts and its methods.
type attemptState struct {
	exchange.State
	keys   servedKeys
	hosts  hosts // the hosts that rejected keys
	shared atomic.Pointer[sharedError]
}

// sessionName returns the session name, or "" if it is not known yet.
func (s *attemptState) sessionName() string {
	if name := s.SessionName.Load(); name != nil {
		return name.Value()
	}
	return ""
}
