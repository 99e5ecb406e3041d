package irsa

import (
	"errors"
	"sync"
	"weak"

	"github.com/irsakit/irsakit/cache"
)

// hops are the Providers whose source is another one. It does not hold them.
type hops struct {
	mu  sync.Mutex
	all []weak.Pointer[Provider]
}

func (h *hops) add(p *Provider) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.alive(), weak.Make(p))
}

// alive returns those that have not been collected. h.mu is held.
func (h *hops) alive() []weak.Pointer[Provider] {
	var out []weak.Pointer[Provider]
	for _, w := range h.all {
		if w.Value() != nil {
			out = append(out, w)
		}
	}
	return out
}

// each calls f for each hop, without the lock.
func (h *hops) each(f func(*Provider)) {
	h.mu.Lock()
	all := h.all
	h.mu.Unlock()
	for _, w := range all {
		if p := w.Value(); p != nil {
			f(p)
		}
	}
}

// wake lets the hops try again that have failed, since their source has new credentials.
func (h *hops) wake(e cache.Event) {
	if !e.Refused && e.Status.Failures == 0 {
		h.each(func(p *Provider) { p.cache.Wake() })
	}
}

func (h *hops) end() (err error) {
	h.each(func(p *Provider) { err = errors.Join(err, p.end()) })
	return err
}
