package irsa_test

import (
	"errors"
	"slices"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
)

// openPool makes a Pool, and has it asked for as many roles as it may know.
func (w *world) openPool() {
	w.most = 1 + w.random.IntN(2)
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) {
		w.options(&o.Options)
		o.MaxRoles, o.MaxCalls = w.most, 1+w.random.IntN(4)
	})
	require.NoError(w.t, err)
	w.pool, w.known = pool, nil
	for i := range w.most {
		w.summon(i)
	}
}

// summon asks the Pool for a role, which may make it forget another one.
func (w *world) summon(i int) {
	role := w.roles[i]
	var a *actor
	at := slices.IndexFunc(w.known, func(a *actor) bool { return a.role == role })
	if at >= 0 {
		a = w.known[at]
		w.known = slices.Delete(w.known, at, at+1)
	} else {
		a = w.actor("pool")
		a.role, a.pooled = role, true
	}
	w.known = slices.Insert(w.known, 0, a)
	p, err := w.pool.Provider(irsa.RoleOptions{RoleARN: role.ARN(), SessionName: a.name})
	require.NoError(w.t, err)
	if at >= 0 {
		w.check(p == a.Provider, "the Pool has another Provider for %s", a.name)
	} else {
		a.Provider = p
		w.enter(a)
	}
	if len(w.known) > w.most {
		w.forget(w.known[w.most])
		w.known = w.known[:w.most]
	}
	var listed []*irsa.Provider
	for p := range w.pool.Providers() {
		listed = append(listed, p)
	}
	var expected []*irsa.Provider
	for _, a := range w.known {
		expected = append(expected, a.Provider)
	}
	w.check(slices.Equal(listed, expected), "the Pool knows others than it was asked for")
}

// forget is what becomes of a role that the Pool knows no more: it is asked on
// until the Pool forgets another one.
func (w *world) forget(a *actor) {
	w.mu.Lock()
	for _, one := range w.family(a) {
		one.forgotten = true
	}
	w.mu.Unlock()
	old := slices.DeleteFunc(slices.Clone(w.actors), func(a *actor) bool { return !a.forgotten || a.source != nil })
	if len(old) > 1 {
		gone := w.family(old[0])
		w.actors = slices.DeleteFunc(w.actors, func(a *actor) bool { return slices.Contains(gone, a) })
	}
}

// closePool closes the Pool while callers wait. Whom it has forgotten serve what they
// have, and nothing else.
func (w *world) closePool() {
	var gone []*actor
	for _, a := range w.known {
		w.crowd(a)
		gone = append(gone, w.family(a)...)
	}
	w.mu.Lock()
	for _, a := range w.actors {
		if a.forgotten {
			a.closedAt = time.Now()
		}
	}
	w.mu.Unlock()
	w.ends(gone, w.pool.Close)
	_, err := w.pool.Provider(irsa.RoleOptions{})
	w.check(errors.Is(err, irsa.ErrClosed), "the Pool is closed and says: %v", err)
	synctest.Wait()
	for _, a := range w.actors {
		if a.forgotten {
			w.askOne(a)
		}
	}
	w.actors = slices.DeleteFunc(w.actors, func(a *actor) bool { return a.forgotten })
}
