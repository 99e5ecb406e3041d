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
	w.maxRoles = 3 + w.random.IntN(2) // a chain has three roles
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) {
		w.options(&o.Options)
		o.MaxRoles, o.MaxCalls = w.maxRoles, 1+w.random.IntN(4)
	})
	require.NoError(w.t, err)
	w.pool, w.inPool = pool, nil
	for i := range len(w.roles) {
		w.getRole(i)
	}
}

// getRole gets a Provider from the Pool, which may evict another Provider.
func (w *world) getRole(i int) {
	w.findEvicted()
	role := w.roles[i]
	var a *actor
	at := slices.IndexFunc(w.inPool, func(a *actor) bool { return a.role == role })
	if at >= 0 {
		a = w.inPool[at]
	} else {
		a = w.actor("pool")
		a.role, a.pooled = role, true
	}
	p, err := w.pool.Provider(irsa.RoleOptions{RoleARN: role.ARN(), SessionName: a.name})
	if errors.Is(err, irsa.ErrPoolFull) {
		return // all other roles are used by chains
	}
	require.NoError(w.t, err)
	w.findEvicted()
	for first := range w.pool.Providers() {
		w.check(first == p, "the Pool lists another Provider first than %s", a.name)
		break
	}
	if at >= 0 {
		w.check(p == a.Provider, "the Pool returned another Provider for %s", a.name)
	} else {
		a.Provider = p
		w.inPool = append(w.inPool, a)
		w.addActor(a)
	}
	w.findEvicted()
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
	a.evicted = true
	w.mu.Unlock()
	old := slices.DeleteFunc(slices.Clone(w.actors), func(a *actor) bool { return !a.evicted || a.source != nil })
	if len(old) > 1 {
		gone := w.withDerived(old[0])
		w.actors = slices.DeleteFunc(w.actors, func(a *actor) bool { return slices.Contains(gone, a) })
	}
}

// closePool closes the Pool while callers wait. After that, evicted Providers serve only their current
// credentials.
func (w *world) closePool() {
	for _, a := range w.inPool {
		w.startCallers(a)
	}
	w.findEvicted()
	gone := slices.Clone(w.inPool)
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
