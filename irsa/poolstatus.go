package irsa

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/irsakit/irsakit/cache"
)

// PoolStatus is a snapshot of the state of a [Pool].
type PoolStatus struct {
	Roles         int // roles in the Pool
	Failing       int // roles whose last exchange failed
	NoCredentials int // failing roles without valid credentials
	Calls         cache.LimiterStatus
	Tenants       map[string]TenantStatus // keyed by tenant; only tenants with roles in the Pool
}

// TenantStatus is a snapshot of the roles of one tenant of a [Pool] (see [RoleOptions]).
type TenantStatus struct {
	Roles         int // roles in the Pool
	Failing       int // roles whose last exchange failed
	NoCredentials int // failing roles without valid credentials
}

// Status returns the Pool's current status. It performs no I/O, and takes about 150 ns per role and
// 400 ns per tenant.
func (p *Pool) Status() PoolStatus {
	s := PoolStatus{Calls: p.limiter.Status(), Tenants: map[string]TenantStatus{}}
	for _, role := range p.all() {
		tenant := s.Tenants[role.config.Tenant]
		s.Roles++
		tenant.Roles++
		if status := role.cache.Status(); status.Failures > 0 {
			s.Failing++
			tenant.Failing++
			if status.State == cache.Empty || status.State == cache.Expired {
				s.NoCredentials++
				tenant.NoCredentials++
			}
		}
		s.Tenants[role.config.Tenant] = tenant
	}
	return s
}

// Format prints the type and the number of roles, regardless of the verb.
func (p *Pool) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "irsa.Pool(%d roles)", len(p.all())) }

// Providers returns an iterator over the Providers in the Pool, most recently used first. It
// iterates over a snapshot taken when the loop starts.
func (p *Pool) Providers() iter.Seq[*Provider] {
	return func(yield func(*Provider) bool) { slices.Values(p.byUse())(yield) }
}

// all returns the Providers in the Pool, in no particular order.
func (p *Pool) all() []*Provider {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.AppendSeq(make([]*Provider, 0, len(p.roles)), maps.Values(p.roles))
}

// byUse returns the Providers in the Pool, most recently used first.
func (p *Pool) byUse() []*Provider {
	type use struct {
		provider *Provider
		at       uint64
	}
	p.mu.Lock()
	uses := make([]use, 0, len(p.roles))
	for _, provider := range p.roles {
		uses = append(uses, use{provider, provider.member.Used()})
	}
	p.mu.Unlock()
	slices.SortFunc(uses, func(a, b use) int { return cmp.Compare(b.at, a.at) })
	out := make([]*Provider, len(uses))
	for i, use := range uses {
		out[i] = use.provider
	}
	return out
}
