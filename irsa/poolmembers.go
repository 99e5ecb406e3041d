package irsa

import (
	"time"

	"github.com/irsakit/irsakit/internal/evict"
)

// insert inserts a Provider with its source, or nil, and evicts others if necessary. It reports whether
// there was room. p.mu must be held.
func (p *Pool) insert(key roleKey, created, source *Provider) bool {
	created.member = &evict.Member[*Provider]{Value: created}
	if source != nil {
		created.member.Source = source.member
	}
	evicted, ok := p.members.Add(created.member, created.config.Tenant)
	p.forget(evicted)
	if !ok {
		return false
	}
	p.roles[key] = created
	if source != nil {
		source.derived.add(created)
	}
	return true
}

// forget removes the Providers of evicted members. p.mu must be held.
func (p *Pool) forget(evicted []*evict.Member[*Provider]) {
	for _, m := range evicted {
		delete(p.roles, keyOfProvider(m.Value))
	}
}

// keep records that a Provider has a caller, or credentials to refresh.
func (p *Pool) keep(provider *Provider) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.members.Keep(provider.member, 0)
}

// confirm counts a Provider, which has obtained credentials, against MaxRoles.
func (p *Pool) confirm(provider *Provider, lifetime time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.members.Keep(provider.member, lifetime)
	p.forget(p.members.Confirm(provider.member))
}
