package irsa_test

import (
	"errors"
	"slices"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
)

// openPool creates a Pool and fills it with roles.
func (w *world) openPool() {
	w.maxRoles = 1 + w.random.IntN(2)
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) {
		w.options(&o.Options)
		o.MaxRoles, o.MaxCalls = w.maxRoles, 1+w.random.IntN(4)
	})
	require.NoError(w.t, err)
	w.pool, w.inPool = pool, nil
	for i := range w.maxRoles {
		w.getRole(i)
	}
}

// getRole gets a Provider from the Pool, which may evict another one.
func (w *world) getRole(i int) {
	role := w.roles[i]
	var a *actor
	at := slices.IndexFunc(w.inPool, func(a *actor) bool { return a.role == role })
	if at >= 0 {
		a = w.inPool[at]
		w.inPool = slices.Delete(w.inPool, at, at+1)
	} else {
		a = w.actor("pool")
		a.role, a.pooled = role, true
	}
	w.inPool = slices.Insert(w.inPool, 0, a)
	p, err := w.pool.Provider(irsa.RoleOptions{RoleARN: role.ARN(), SessionName: a.name})
	require.NoError(w.t, err)
	if at >= 0 {
		w.check(p == a.Provider, "the Pool returned another Provider for %s", a.name)
	} else {
		a.Provider = p
		w.addActor(a)
	}
	if len(w.inPool) > w.maxRoles {
		w.evict(w.inPool[w.maxRoles])
		w.inPool = w.inPool[:w.maxRoles]
	}
	var listed []*irsa.Provider
	for p := range w.pool.Providers() {
		listed = append(listed, p)
	}
	var expected []*irsa.Provider
	for _, a := range w.inPool {
		expected = append(expected, a.Provider)
	}
	w.check(slices.Equal(listed, expected), "the Pool lists other Providers than expected")
}

// evict records an eviction. The evicted role remains in use until the next eviction.
func (w *world) evict(a *actor) {
	w.mu.Lock()
	for _, one := range w.withDerived(a) {
		one.evicted = true
	}
	w.mu.Unlock()
	old := slices.DeleteFunc(slices.Clone(w.actors), func(a *actor) bool { return !a.evicted || a.source != nil })
	if len(old) > 1 {
		gone := w.withDerived(old[0])
		w.actors = slices.DeleteFunc(w.actors, func(a *actor) bool { return slices.Contains(gone, a) })
	}
}

// closePool closes the Pool while callers wait. Evicted Providers then serve their current
// credentials only.
func (w *world) closePool() {
	var gone []*actor
	for _, a := range w.inPool {
		w.startCallers(a)
		gone = append(gone, w.withDerived(a)...)
	}
	w.mu.Lock()
	for _, a := range w.actors {
		if a.evicted {
			a.closedAt = time.Now()
		}
	}
	w.mu.Unlock()
	w.closeAll(gone, w.pool.Close)
	_, err := w.pool.Provider(irsa.RoleOptions{})
	w.check(errors.Is(err, irsa.ErrClosed), "the closed Pool returned: %v", err)
	synctest.Wait()
	for _, a := range w.actors {
		if a.evicted {
			w.callOnce(a)
		}
	}
	w.actors = slices.DeleteFunc(w.actors, func(a *actor) bool { return a.evicted })
}
