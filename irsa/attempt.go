package irsa

import (
	"cmp"
	"context"
	"log/slog"
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
	exchange exchange.WebIdentity
	provider *Provider
}

// newProvider returns the Provider of the role of c, with credentials for a web identity. pool is nil
// for a Provider created by New.
func newProvider(r *resources, c *config.Config, pool *Pool) *Provider {
	a := &attempts{}
	a.exchange = exchange.WebIdentity{State: &a.State, Config: c, Client: r.client}
	a.provider = &Provider{resources: r, config: c, state: &a.attemptState, pool: pool}
	a.provider.initCache(a)
	return a.provider
}

// Retrieve makes an exchange.
func (a *attempts) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if err := a.provider.begin(); err != nil {
		return aws.Credentials{}, err
	}
	creds, err := a.exchange.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, exchangeError(&a.exchange, err)
	}
	a.provider.obtained(creds)
	return creds, nil
}

// begin records that an attempt begins. It returns an error if p's Pool is closed.
func (p *Provider) begin() error {
	if p.pool == nil {
		return nil
	}
	if p.member != nil {
		p.pool.keep(p)
	}
	return p.pool.checkOpen(p.config.RoleARN)
}

// obtained records that an attempt has obtained credentials.
func (p *Provider) obtained(creds aws.Credentials) {
	if p.member != nil {
		p.pool.confirm(p, time.Until(creds.Expires))
	}
}

// followedSource is the source of a Provider's cache, which reports the outcomes of attempts to it.
type followedSource struct {
	aws.CredentialsProvider // an exchange
	provider                *Provider
}

// Completed starts the watch of the token file. After a failure, the watch polls immediately. After a
// success, failed derived Providers retry.
func (s followedSource) Completed(outcome follow.Outcome) {
	s.provider.startWatch()
	switch {
	case outcome.Err == nil:
		s.provider.shared.Store(nil) // no longer needed
		s.provider.derived.each(func(p *Provider) { p.cache.Wake() })
	case s.provider.chain == nil: // an exchange of a token
		s.provider.watch.pollNow()
	}
}

// Explain returns the Error for an error of the cache.
func (s followedSource) Explain(ctx context.Context, err error) error {
	return s.provider.explain(ctx, err)
}

// ProviderSources returns the Provider's sources.
func (s followedSource) ProviderSources() []aws.CredentialSource {
	return s.provider.ProviderSources()
}

// Serve records the access key of credentials that the Provider will return.
func (s followedSource) Serve(accessKeyID string) { s.provider.state.keys.record(accessKeyID) }

// Logger returns a logger that adds the role to each message. It is created for each message, so that it
// takes no memory between messages.
func (s followedSource) Logger() *slog.Logger {
	return cmp.Or(s.provider.logger, slog.Default()).With("role", s.provider.config.RoleARN)
}

// Record queues an event for Options.Observe.
func (s followedSource) Record(e cache.Event) {
	if s.provider.observe != nil {
		queued := e // e itself would be allocated even without an observer
		s.provider.event(func() Event { return s.provider.eventOf(queued) })
	}
}

// attemptState is the state that the attempts of a Provider share with its other methods.
type attemptState struct {
	exchange.State
	keys  servedKeys
	hosts hosts // the hosts that rejected keys
}

// sessionName returns the session name, or "" if it is not known yet.
func (s *attemptState) sessionName() string {
	if name := s.SessionName.Load(); name != nil {
		return name.Value()
	}
	return ""
}
