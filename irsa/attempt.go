package irsa

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/exchange"
)

// attempts is the source of a Provider's cache. Each attempt exchanges the current token for
// credentials.
type attempts struct {
	attemptState
	exchange exchange.WebIdentity
	pool     *Pool // nil for a Provider created by New
}

// newAttempts returns the source for the role of c.
func newAttempts(c *config.Config, client *exchange.Client, pool *Pool) *attempts {
	a := &attempts{pool: pool}
	a.exchange = exchange.WebIdentity{State: &a.State, Config: c, Client: client}
	return a
}

// Retrieve makes an exchange.
func (a *attempts) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if a.pool != nil {
		if err := a.pool.checkOpen(a.exchange.Config.RoleARN); err != nil {
			return aws.Credentials{}, err
		}
	}
	creds, err := a.exchange.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, exchangeError(&a.exchange, err)
	}
	a.keys.record(creds.AccessKeyID)
	return creds, nil
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
		return *name
	}
	return ""
}
