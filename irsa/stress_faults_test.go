package irsa_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// attemptLimit is the maximum duration of an attempt. recoveryLimit is the maximum time until a caller
// that keeps retrying obtains credentials after a repair. The other limits are added to it.
const (
	attemptLimit      = 10*time.Second + 100*time.Millisecond
	recoveryLimit     = 6 * time.Second
	permanentBackoff  = 30 * time.Second // after permanent errors without a new token
	invalidateSpacing = time.Minute
)

// account is the AWS account of the roles, the kit's default.
const account = "111122223333"

// injectFault injects a random fault that lasts until repair is called.
func (w *world) injectFault() {
	w.faulty, w.long = true, w.random.IntN(30) == 0
	role := w.roles[w.random.IntN(len(w.roles))]
	switch w.random.IntN(14) {
	case 0, 1:
		w.kit.STS.Fail(w.fault())
	case 2:
		w.chainRoles[w.random.IntN(len(w.chainRoles))].Fail(w.fault())
	case 3:
		role.Fail(w.fault())
	case 4:
		w.kit.STS.Down()
	case 5:
		w.kit.STS.SetLatency(w.latency())
	case 6:
		role.SetLatency(w.latency())
	case 7:
		w.distrust(role)
	case 8:
		w.distrust(w.chainRoles[w.random.IntN(len(w.chainRoles))])
	case 9:
		w.kit.UnregisterIssuer(account, w.kit.Issuer)
	case 10:
		w.kit.Issuer.RotateKeys()
		w.kit.Issuer.RetireKeys() // invalidates all tokens
	case 11:
		w.pod.Freeze()
		w.long = true // possibly until the token expires
	default:
		w.corruptToken()
	}
}

// fault returns a random fault of STS and the number of its occurrences.
func (w *world) fault() (irsatest.Fault, int) {
	faults := append(irsatest.Faults(), irsatest.Hang, irsatest.Hang, irsatest.Hang)
	fault := faults[w.random.IntN(len(faults))]
	if fault == irsatest.HugeReply || w.random.IntN(2) == 0 {
		return fault, 1 + w.random.IntN(2)
	}
	return fault, -1
}

func (w *world) latency() time.Duration {
	return time.Duration(w.random.Int64N(int64(12 * time.Second))) // may exceed the attempt timeout
}

// distrust makes a role's trust policy deny everything.
func (w *world) distrust(role *irsatest.Role) {
	role.SetTrustPolicy(strings.ReplaceAll(role.TrustPolicy(), `"Allow"`, `"Deny"`))
}

// corruptToken replaces, corrupts or removes the token file.
func (w *world) corruptToken() {
	w.recordRotation()
	token := w.pod.Token()
	switch w.random.IntN(8) {
	case 0:
		w.pod.Rotate(irsatest.Invalid("expired"))
	case 1:
		w.pod.Rotate(irsatest.Invalid("bad signature"))
	case 2:
		w.pod.Rotate(irsatest.Invalid("other issuer"))
	case 3:
		w.pod.Rotate(irsatest.Claim("aud", "somebody.else"))
	case 4:
		w.pod.RemoveToken()
	case 5:
		w.pod.Truncate(w.random.IntN(len(token) + 1))
	case 6:
		w.pod.WriteInPlace([]byte(token + "\n"))
	case 7:
		w.pod.Write([]byte(w.kit.Pod(w.stranger, w.roles[0]).Token()))
	}
}

// repair removes all faults.
func (w *world) repair() {
	w.faulty = false
	w.kit.STS.SetLatency(0)
	all := slices.Concat(w.roles, w.chainRoles)
	for _, role := range all {
		role.SetLatency(0)
		role.SetTrustPolicy(strings.ReplaceAll(role.TrustPolicy(), `"Deny"`, `"Allow"`))
	}
	w.kit.RegisterIssuer(account, w.kit.Issuer)
	w.pod.Thaw()
	if w.random.IntN(2) == 0 {
		w.kit.STS.Recover()
	} else {
		for _, role := range all { // does not end requests that hang
			role.Recover()
		}
		w.kit.STS.Fail(irsatest.Unavailable, 0)
		w.kit.STS.Up()
	}
	// This comes last, so that attempts with the new token do not encounter a fault.
	w.recordRotation()
	w.pod.Rotate()
}

// recover removes all faults and checks that all actors obtain credentials in time.
func (w *world) recover() {
	w.repair()
	w.findEvicted()
	var all sync.WaitGroup
	for _, a := range w.actors {
		limit := w.limit(a)
		all.Go(func() { w.recovers(a, limit) })
	}
	all.Wait()
}

// recovers checks that an actor obtains credentials in time. For a derived Provider, the time starts
// when its source has credentials.
func (w *world) recovers(a *actor, limit time.Duration) {
	for a.source != nil && !w.t.Failed() {
		if _, err := a.source.Retrieve(w.t.Context()); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	start, late := time.Now(), false
	for {
		_, err := a.Retrieve(w.t.Context())
		if err == nil {
			return
		}
		if time.Since(start) > limit && !late && w.leftPool(a) {
			limit, late = limit+permanentBackoff, true // a new token does not end the backoff of an evicted role
		}
		if !w.check(time.Since(start) <= limit, "%s does not recover within %v: %v", a.name, limit, err) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// leftPool reports whether an actor's role is no longer in the Pool. It can be evicted while others
// recover.
func (w *world) leftPool(a *actor) bool {
	return w.pool != nil && !slices.Contains(slices.Collect(w.pool.Providers()), a.Provider)
}

// limit returns the maximum time until an actor must obtain credentials, provided there are no faults
// and its source has credentials.
func (w *world) limit(a *actor) time.Duration {
	limit := recoveryLimit + attemptLimit
	w.mu.Lock()
	invalidated := a.newest != nil && !a.newest.invalidated.IsZero()
	evicted := a.evicted
	w.mu.Unlock()
	err := a.Status().Err
	if invalidated || errors.Is(err, irsa.ErrRejected) {
		limit += invalidateSpacing
	}
	var own *irsa.Error // or the source's; the source wakes the actor when it recovers
	if errors.As(err, &own) && own.RoleARN == a.role.ARN() && isPermanent(err) && (evicted || a.source != nil) {
		limit += permanentBackoff
	}
	return limit
}

// isPermanent reports whether attempts after an error back off to permanentBackoff.
func isPermanent(err error) bool {
	return slices.ContainsFunc([]error{irsa.ErrAccessDenied, irsa.ErrInvalidRequest, irsa.ErrTokenRejected, irsa.ErrTokenExpired},
		func(kind error) bool { return errors.Is(err, kind) })
}
