package irsa

import (
	"errors"
	"sync"
	"weak"
)

// derivedProviders is the set of a source's derived Providers. It refers to them weakly, so that
// unused ones are garbage collected.
type derivedProviders struct {
	mu     sync.Mutex
	closed bool
	all    []weak.Pointer[Provider]
}

// add adds p and reports whether it did. It adds nothing after close, which has already closed
// all others.
func (d *derivedProviders) add(p *Provider) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.all = append(d.reachable(), weak.Make(p))
	return true
}

// reachable returns the Providers that have not been collected. d.mu is held.
func (d *derivedProviders) reachable() []weak.Pointer[Provider] {
	var out []weak.Pointer[Provider]
	for _, w := range d.all {
		if w.Value() != nil {
			out = append(out, w)
		}
	}
	return out
}

// each calls f for each derived Provider, without holding the lock.
func (d *derivedProviders) each(f func(*Provider)) {
	d.mu.Lock()
	all := d.all
	d.mu.Unlock()
	for _, w := range all {
		if p := w.Value(); p != nil {
			f(p)
		}
	}
}

// close closes all derived Providers. None can be added after that.
func (d *derivedProviders) close() (err error) {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.each(func(p *Provider) { err = errors.Join(err, p.close()) })
	return err
}
