package irsa

import (
	"time"

	"github.com/irsakit/irsakit/internal/evict"
)

// insert adds a Provider to the Pool, evicting others if necessary, and reports whether there was
// room. source is nil for a web identity. p.mu must be held.
func (p *Pool) insert(key roleKey, created, source *Provider) bool {
	created.member = &evict.Member[*Provider]{Value: created}
	if source != nil {
		created.member.Source = source.member
	}
	evicted, ok := p.members.Add(created.member, created.config.Tenant)
	p.removeEvicted(evicted)
	if !ok {
		return false
	}
	p.roles[key] = created
	if source != nil {
		source.derived.add(created)
	}
	return true
}

// removeEvicted removes the Providers of evicted members from the Pool. p.mu must be held.
func (p *Pool) removeEvicted(evicted []*evict.Member[*Provider]) {
	for _, m := range evicted {
		delete(p.roles, keyOfProvider(m.Value))
	}
}

// keep marks a Provider as needed, because an attempt for it starts.
func (p *Pool) keep(provider *Provider) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.members.Keep(provider.member, 0)
}

// confirm records that a Provider has obtained credentials, and counts it against MaxRoles.
func (p *Pool) confirm(provider *Provider, lifetime time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.members.Keep(provider.member, lifetime)
	p.removeEvicted(p.members.Confirm(provider.member))
}
