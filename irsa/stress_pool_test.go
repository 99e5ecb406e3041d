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
	w.findEvicted()
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
	w.findEvicted()
	for first := range w.pool.Providers() {
		w.check(first == p, "the Pool lists another Provider first than %s", a.name)
		break
	}
}

// findEvicted records the evictions of the Pool.
func (w *world) findEvicted() {
	if w.pool == nil {
		return
	}
	listed := map[*irsa.Provider]bool{}
	for p := range w.pool.Providers() {
		listed[p] = true
	}
	w.check(len(listed) <= 2*w.maxRoles, "the Pool contains %d roles, at most %d may", len(listed), 2*w.maxRoles)
	w.inPool = slices.DeleteFunc(w.inPool, func(a *actor) bool {
		if listed[a.Provider] {
			return false
		}
		w.evict(a)
		return true
	})
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
	w.findEvicted()
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
