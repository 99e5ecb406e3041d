package irsa

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/exchange"
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

// obtained records the credentials of a successful attempt.
func (p *Provider) obtained(creds aws.Credentials) {
	p.state.keys.record(creds.AccessKeyID)
	if p.member != nil {
		p.pool.confirm(p, time.Until(creds.Expires))
	}
}

// attemptState is the state that the attempts of a Provider share with its other methods.
type attemptState struct {
	exchange.State
	keys  issuedKeys
	hosts hosts // the hosts that rejected keys
}

// sessionName returns the session name, or "" if it is not known yet.
func (s *attemptState) sessionName() string {
	if name := s.SessionName.Load(); name != nil {
		return name.Value()
	}
	return ""
}
