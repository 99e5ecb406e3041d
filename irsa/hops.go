package irsa

import (
	"errors"
	"sync"
	"weak"

	"github.com/irsakit/irsakit/cache"
)

// hops is the set of a source's derived Providers. It refers to them weakly, so that unused
// ones are garbage collected.
type hops struct {
	mu     sync.Mutex
	closed bool
	all    []weak.Pointer[Provider]
}

// add adds p and reports whether it did. It adds nothing after end, which has already closed
// all others.
func (h *hops) add(p *Provider) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.all = append(h.alive(), weak.Make(p))
	return true
}

// alive returns the Providers that have not been collected. h.mu is held.
func (h *hops) alive() []weak.Pointer[Provider] {
	var out []weak.Pointer[Provider]
	for _, w := range h.all {
		if w.Value() != nil {
			out = append(out, w)
		}
	}
	return out
}

// each calls f for each derived Provider, without holding the lock.
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

// wake lets failed derived Providers retry after their source obtained new credentials.
func (h *hops) wake(e cache.Event) {
	if !e.Refused && e.Status.Failures == 0 {
		h.each(func(p *Provider) { p.cache.Wake() })
	}
}

// end closes all derived Providers. None can be added after that.
func (h *hops) end() (err error) {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.each(func(p *Provider) { err = errors.Join(err, p.end()) })
	return err
}
