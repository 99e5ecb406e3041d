package irsa

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/irsakit/irsakit/cache"
)

// Status is how a [Provider] is doing at one moment. It holds no secret. Its State
// is one of those of package cache, such as [cache.Fresh].
type Status struct {
	cache.Status

	RoleARN     string
	Source      string    // the role that assumes it, empty where a token does
	SessionName string    // empty before the first token was read
	Kind        error     // of Err: one of the Err variables, nil without an Err
	TokenIssued time.Time // of the newest token that was seen; zero where it does not say
	TokenExpiry time.Time
}

// Healthy returns nil where credentials are served and the last exchange did not fail,
// else an error that tells a probe whether there never were any, whether they are still
// served, or whether they have ended: see [cache.Status.Healthy], also for what a probe
// for readiness has to do besides. It does not block.
func (p *Provider) Healthy() error { return p.Status().Healthy() }

// Status returns how the Provider is doing. It takes no lock and does not block.
func (p *Provider) Status() Status { return p.statusOf(p.cache.Status()) }

func (p *Provider) statusOf(status cache.Status) Status {
	s := Status{Status: status, RoleARN: p.settings.RoleARN, SessionName: p.settings.SessionName, Kind: kindOfCache(status.Err)}
	if p.source != nil {
		s.Source = p.source.settings.RoleARN
	}
	if name := p.known.session.Load(); name != nil {
		s.SessionName = *name
	}
	if token := p.known.seen.Load(); token != nil {
		s.TokenIssued, s.TokenExpiry = token.Claims().IssuedAt, token.Claims().Expiry
	}
	return s
}

// EventKind is what an [Event] tells of.
type EventKind string

// The kinds of events.
const (
	Refreshed     EventKind = "refreshed"      // there are new credentials
	RefreshFailed EventKind = "refresh failed" // an exchange failed: see Status.Err
	Refused       EventKind = "refused"        // a service refused the credentials
	Rotated       EventKind = "rotated"        // the token file has a token that was not used yet
)

// Event tells that something happened to a [Provider]. It holds no secret.
type Event struct {
	Kind   EventKind
	Time   time.Time
	Took   time.Duration // the exchange's time, 0 where there was none
	Status Status        // after it
}

// attempted is told by the cache of every attempt and refusal.
func (p *Provider) attempted(e cache.Event) {
	p.follow()
	p.hops.wake(e)
	kind := Refreshed
	switch {
	case e.Refused:
		kind = Refused
	case e.Status.Failures > 0:
		kind = RefreshFailed
		p.watch.look()
	}
	p.tell(func() Event { return Event{Kind: kind, Time: e.Time, Took: e.Took, Status: p.statusOf(e.Status)} })
}

// tell queues an event for the application, if it wants any.
func (p *Provider) tell(event func() Event) {
	if p.settings.Observe != nil {
		p.events.Put(event(), p.observe)
	}
}

// observe hands an event to the application.
func (p *Provider) observe(event Event) {
	defer func() {
		if r := recover(); r != nil {
			p.settings.log(slog.LevelError, "credentials observer panicked", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	p.settings.Observe(event)
}
