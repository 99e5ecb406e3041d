package irsa

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/irsakit/irsakit/cache"
)

// Status is how a [Provider] is doing at one moment. It holds no secret. Its State
// is one of those of package cache, such as [cache.Fresh].
type Status struct {
	cache.Status

	RoleARN     string
	SessionName string    // empty before the first token was read
	TokenExpiry time.Time // of the token of the newest exchange, zero before one
}

// Status returns how the Provider is doing. It takes no lock and does not block.
func (p *Provider) Status() Status { return p.statusOf(p.cache.Status()) }

func (p *Provider) statusOf(status cache.Status) Status {
	s := Status{Status: status, RoleARN: p.settings.RoleARN, SessionName: p.settings.SessionName}
	if name := p.known.session.Load(); name != nil {
		s.SessionName = *name
	}
	if token := p.known.used.Load(); token != nil {
		s.TokenExpiry = token.Claims().Expiry
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
	event := Event{Kind: Refreshed, Time: e.Time, Took: e.Took, Status: p.statusOf(e.Status)}
	switch {
	case e.Refused:
		event.Kind = Refused
	case e.Status.Failures > 0:
		event.Kind = RefreshFailed
		p.watch.look()
	}
	p.tell(event)
}

// tell queues an event for the application.
func (p *Provider) tell(event Event) {
	if p.settings.Observe != nil {
		p.events.Put(event, p.observe)
	}
}

// observe hands an event to the application.
func (p *Provider) observe(event Event) {
	defer func() {
		if r := recover(); r != nil {
			p.settings.Logger.Error("credentials observer panicked", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	p.settings.Observe(event)
}
