package irsa

import (
	"iter"

	"github.com/irsakit/irsakit/cache"
)

// PoolStatus describes the state of a [Pool] at one moment.
type PoolStatus struct {
	Roles         int // roles in the Pool
	Failing       int // roles whose last exchange failed
	NoCredentials int // failing roles without valid credentials
	Calls         cache.LimiterStatus
}

// Status returns the Pool's current status. It does no I/O and takes about 100 ns per role.
func (p *Pool) Status() PoolStatus {
	s := PoolStatus{Calls: p.limiter.Status()}
	for role := range p.Providers() {
		s.Roles++
		switch status := role.cache.Status(); {
		case status.Failures == 0:
		case status.State == cache.Empty, status.State == cache.Expired:
			s.NoCredentials++
			fallthrough
		default:
			s.Failing++
		}
	}
	return s
}

// Providers returns an iterator over the Providers in the Pool, most recently used first. It
// iterates over a snapshot taken when the loop starts.
func (p *Pool) Providers() iter.Seq[*Provider] {
	return func(yield func(*Provider) bool) {
		for _, provider := range p.all() {
			if !yield(provider) {
				return
			}
		}
	}
}

func (p *Pool) all() []*Provider {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]*Provider, 0, p.order.Len())
	for element := p.order.Front(); element != nil; element = element.Next() {
		out = append(out, element.Value.(*Provider))
	}
	return out
}
