package irsa

import (
	"context"
	"sync/atomic"
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
	pool     *Pool // nil for a Provider created by New
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

// issuedKeys are the newest access key that the exchanges of a Provider returned, and the one before
// it.
type issuedKeys struct{ newest atomic.Pointer[[2]issuedKey] }

type issuedKey struct {
	id string
	at time.Time
}

// record records the access key of a successful exchange.
func (k *issuedKeys) record(id string) {
	var before issuedKey
	if keys := k.newest.Load(); keys != nil {
		before = keys[0]
	}
	k.newest.Store(&[2]issuedKey{{id, time.Now()}, before})
}

// receivedAt returns the time at which a key was received. It reports whether the key is the newest
// or the one before it.
func (k *issuedKeys) receivedAt(id string) (at time.Time, ok bool) {
	if keys := k.newest.Load(); keys != nil && id != "" {
		for _, key := range keys {
			if key.id == id {
				return key.at, true
			}
		}
	}
	return time.Time{}, false
}
