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

// An attempt takes no longer than this, and who asks on while nothing works has
// credentials so soon after it works again; the others are waits of their own.
const (
	attemptLimit   = 10*time.Second + 100*time.Millisecond
	soon           = 6 * time.Second
	permanentWait  = 30 * time.Second // after what only a person can mend, if no new token tells of it
	refusalSpacing = time.Minute
)

// account is whose roles they are, the kit's own.
const account = "111122223333"

// spoil lets something go wrong that stays so until it is mended.
func (w *world) spoil() {
	w.trouble, w.long = true, w.random.IntN(30) == 0
	role := w.roles[w.random.IntN(len(w.roles))]
	switch w.random.IntN(14) {
	case 0, 1:
		w.kit.STS.Fail(w.fault())
	case 2:
		w.far[w.random.IntN(len(w.far))].Fail(w.fault())
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
		w.distrust(w.far[w.random.IntN(len(w.far))])
	case 9:
		w.kit.UnregisterIssuer(account, w.kit.Issuer)
	case 10:
		w.kit.Issuer.RotateKeys()
		w.kit.Issuer.RetireKeys() // no token is good any more
	case 11:
		w.pod.Freeze()
		w.long = true // perhaps until the token has expired
	default:
		w.spoilToken()
	}
}

// fault is how STS fails, and how often.
func (w *world) fault() (irsatest.Fault, int) {
	faults := append(irsatest.Faults(), irsatest.Hang, irsatest.Hang, irsatest.Hang)
	fault := faults[w.random.IntN(len(faults))]
	if fault == irsatest.HugeReply || w.random.IntN(2) == 0 {
		return fault, 1 + w.random.IntN(2)
	}
	return fault, -1
}

func (w *world) latency() time.Duration {
	return time.Duration(w.random.Int64N(int64(12 * time.Second))) // longer than an attempt may last
}

// distrust changes a role's trust policy so that it lets nobody in.
func (w *world) distrust(role *irsatest.Role) {
	role.SetTrustPolicy(strings.ReplaceAll(role.TrustPolicy(), `"Allow"`, `"Deny"`))
}

// spoilToken breaks the token in the file.
func (w *world) spoilToken() {
	w.noteRotation()
	token := w.pod.Token()
	switch w.random.IntN(8) {
	case 0:
		w.pod.Rotate(irsatest.Expired)
	case 1:
		w.pod.Rotate(irsatest.BadSignature)
	case 2:
		w.pod.Rotate(irsatest.OtherIssuer)
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

// mend makes everything right again, so that from now on it works.
func (w *world) mend() {
	w.trouble = false
	w.kit.STS.SetLatency(0)
	all := slices.Concat(w.roles, w.far)
	for _, role := range all {
		role.SetLatency(0)
		role.SetTrustPolicy(strings.ReplaceAll(role.TrustPolicy(), `"Deny"`, `"Allow"`))
	}
	w.kit.RegisterIssuer(account, w.kit.Issuer)
	w.pod.Thaw()
	if w.random.IntN(2) == 0 {
		w.kit.STS.Recover()
	} else {
		for _, role := range all { // likewise, but who hangs goes on hanging
			role.Recover()
		}
		w.kit.STS.Fail(irsatest.Unavailable, 0)
		w.kit.STS.Up()
	}
	// Last, so that whoever meets the new token meets a world that works.
	w.noteRotation()
	w.pod.Rotate()
}

// recover makes everything right, and sees that everybody has credentials in time.
func (w *world) recover() {
	w.mend()
	var all sync.WaitGroup
	for _, a := range w.actors {
		limit := w.limit(a)
		all.Go(func() { w.recovers(a, limit) })
	}
	all.Wait()
}

// recovers sees that an actor has credentials in time: a hop, as soon as its source has.
func (w *world) recovers(a *actor, limit time.Duration) {
	for a.source != nil && !w.t.Failed() {
		if _, err := a.source.Retrieve(w.t.Context()); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	start := time.Now()
	for {
		_, err := a.Retrieve(w.t.Context())
		if err == nil {
			return
		}
		if !w.check(time.Since(start) <= limit, "%s does not recover within %v: %v", a.name, limit, err) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// limit is how long an actor may take for its credentials from now on, if it works and
// its source has its own.
func (w *world) limit(a *actor) time.Duration {
	limit := soon + attemptLimit
	w.mu.Lock()
	refused := a.newest != nil && !a.newest.refused.IsZero()
	forgotten := a.forgotten
	w.mu.Unlock()
	err := a.Status().Err
	if refused || errors.Is(err, irsa.ErrRefused) {
		limit += refusalSpacing
	}
	var own *irsa.Error // or its source's, which tells it when it has credentials
	if errors.As(err, &own) && own.RoleARN == a.role.ARN() && isPermanent(err) && (forgotten || a.source != nil) {
		limit += permanentWait
	}
	return limit
}

// isPermanent says of an error that it is tried again more and more seldom.
func isPermanent(err error) bool {
	return slices.ContainsFunc([]error{irsa.ErrAccessDenied, irsa.ErrInvalidRequest, irsa.ErrTokenRejected, irsa.ErrTokenExpired},
		func(kind error) bool { return errors.Is(err, kind) })
}
