package irsa

import (
	"errors"
	"sync"
	"weak"

	"github.com/irsakit/irsakit/cache"
)

// hops are the Providers whose source is another one. It does not hold them.
type hops struct {
	mu     sync.Mutex
	closed bool
	all    []weak.Pointer[Provider]
}

// add reports whether it has added p: it does not after end, which would not close it.
func (h *hops) add(p *Provider) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.all = append(h.alive(), weak.Make(p))
	return true
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

// end closes all hops. None can be added from then on.
func (h *hops) end() (err error) {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.each(func(p *Provider) { err = errors.Join(err, p.end()) })
	return err
}
