package irsa

import (
	"cmp"
	"time"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/tokenfile"
)

// Status is a snapshot of the state of a [Provider]. It contains no secrets. State is one of the
// states defined in package cache, such as [cache.Fresh].
type Status struct {
	cache.Status

	RoleARN     string
	Source      string    // the role that assumes RoleARN; empty for a web identity
	SessionName string    // empty until the first token has been read
	Kind        error     // the kind of Err: one of the Err variables, or nil if Err is nil
	TokenIssued time.Time // when the newest token was issued; zero if it has no such claim
	TokenExpiry time.Time // when the newest token expires; zero if it has no such claim
}

// Healthy returns nil if the Provider serves credentials and the last exchange succeeded. Otherwise it
// returns an error that wraps Status.Err; use Status.State to distinguish the cases. Healthy does not
// block, and does not start an exchange. After the credentials have expired, exchanges start only for
// callers of Retrieve or Ready, so a program without requests recovers only if its readiness probe calls
// Ready. See [cache.Status.Healthy] for how to use Healthy in such a probe.
func (p *Provider) Healthy() error { return p.Status().Healthy() }

// Status returns the Provider's current status. It takes no locks and does not block.
func (p *Provider) Status() Status { return p.statusOf(p.cache.Status(), p.state.NewestToken.Load()) }

// statusOf returns the Status for a status of the cache. newest is the newest token, or nil.
func (p *Provider) statusOf(status cache.Status, newest *tokenfile.Token) Status {
	s := Status{Status: status, RoleARN: p.config.RoleARN, SessionName: cmp.Or(p.state.sessionName(), p.config.SessionName), Kind: kindOfCache(status.Err)}
	if p.chain != nil {
		s.Source = p.chain.source.config.RoleARN
	}
	if newest != nil {
		s.TokenIssued, s.TokenExpiry = newest.Claims().IssuedAt, newest.Claims().Expiry
	}
	return s
}

// EventKind is the kind of an [Event].
type EventKind string

// The kinds of events. Their values are suitable as metric labels.
const (
	EventRefreshed     EventKind = "refreshed"      // an exchange succeeded
	EventRefreshFailed EventKind = "refresh_failed" // an exchange failed; see Status.Err
	EventRejected      EventKind = "rejected"       // a service rejected the credentials, or Invalidate withdrew them
	EventTokenRotated  EventKind = "token_rotated"  // the token file contains a token that has not been used yet
)

// Event describes a change in the state of a [Provider]. It contains no secrets.
type Event struct {
	Kind   EventKind
	Time   time.Time
	Took   time.Duration // how long the exchange took; 0 without an exchange
	Status Status        // the status after the event
}

// eventOf converts an event of the cache. newest is the newest token at the time of the event, or nil.
func (p *Provider) eventOf(e cache.Event, newest *tokenfile.Token) Event {
	kind := EventRefreshed
	switch {
	case e.Withdrawn:
		kind = EventRejected
	case e.Status.Failures > 0:
		kind = EventRefreshFailed
	}
	return Event{Kind: kind, Time: e.Time, Took: e.Took, Status: p.statusOf(e.Status, newest)}
}
