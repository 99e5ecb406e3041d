package irsa_test

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/irsakit/irsakit/internal/test/testsize"
)

var (
	stressDays = flag.Int("stress.days", 5, "number of `days` that the stress test simulates, each with its own seed")
	stressSeed = flag.Uint64("stress.seed", 1, "`seed` of the first day")
)

// TestProviderStress simulates days of random events between the token file and the callers,
// in an order determined by a seed. It checks the invariants of world after each step.
//
//	go test ./irsa -run Stress -stress.days 1000
//	go test ./irsa -run Stress -stress.days 1 -stress.seed 77
func TestProviderStress(t *testing.T) {
	t.Parallel()
	for day := range uint64(testsize.Choose(min(*stressDays, 1), *stressDays, *stressDays)) {
		seed := *stressSeed + day
		ok := t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newWorld(t, seed).day() })
		})
		if !ok {
			t.Fatalf("repeat with: go test ./irsa -run Stress -stress.days 1 -stress.seed %d", seed)
		}
	}
}

// day simulates 24 hours.
func (w *world) day() {
	start := time.Now()
	for time.Since(start) < 24*time.Hour {
		w.act()
		w.kubelet()
		time.Sleep(w.pause())
		synctest.Wait() // until all due work is done
		w.callSome()
		w.sendRejectedRequests()
		if w.t.Failed() {
			break
		}
	}
	w.recover()
	w.close()
	w.callers.Wait()
	time.Sleep(attemptLimit) // a Pool does not wait for attempts of evicted Providers
}

// pause returns the time until the next event. Most faults are short, because polling the token file
// every second slows down the test.
func (w *world) pause() time.Duration {
	longest := 15 * time.Minute
	if w.faulty && !w.long {
		longest = 15 * time.Second
	}
	return time.Duration(w.random.Int64N(int64(longest)))
}

// act triggers at most one random event.
func (w *world) act() {
	switch n := w.random.IntN(100); {
	case w.faulty && n < 7:
		w.repair()
	case w.faulty && n < 15:
		w.recover()
	case n < 4:
		w.injectFault()
		w.triggerRefreshes()
	case n < 6:
		w.rotate()
	case n < 10:
		w.randomActor().invalidateKey()
	case n < 20:
		w.demand()
	case n < 23:
		w.skew()
	case n < 28 && w.pool != nil:
		w.getRole(w.random.IntN(len(w.roles)))
	case n == 28:
		w.close()
		w.open()
	case n == 29:
		w.closeDerived()
	case n < 34:
		w.request(w.randomActor())
	case n < 37:
		a := w.randomActor()
		a.alwaysRejected = !a.alwaysRejected
	case n < 41 && w.distorted:
		w.setDistortion()
	case n < 44:
		w.skewDuring(w.randomActor())
	}
}

// triggerRefreshes makes some actors refresh during a fault. Most faults would otherwise end before
// the next refresh.
func (w *world) triggerRefreshes() {
	for _, a := range w.actors {
		switch w.random.IntN(4) {
		case 0:
			a.invalidateKey()
		case 1:
			a.requestRefresh(w.t.Context())
		}
	}
}

// kubelet rotates the token when it is due.
func (w *world) kubelet() {
	if time.Since(w.rotated) >= w.tokenLife/10*8 {
		w.rotated = time.Now()
		w.recordRotation()
		w.pod.Rotate()
	}
}

// rotate writes a new token early. It is either swapped in or written in place, as by a copy of the
// volume.
func (w *world) rotate() {
	w.recordRotation()
	switch w.random.IntN(4) {
	case 0:
		token := w.kit.ServiceAccount("shop", "cart").Token()
		w.pod.WriteInPlace([]byte(token[:w.random.IntN(len(token))]))
		w.pod.WriteInPlace([]byte(token))
	case 1:
		w.pod.Write([]byte(w.pod.Token())) // the same token
	default:
		w.pod.Rotate()
	}
}

// skew steps STS's clock against the node's.
func (w *world) skew() {
	d := time.Duration(w.random.Int64N(int64(8*time.Minute))) - 4*time.Minute
	if w.random.IntN(2) == 0 {
		d /= 200 // about as much as the rounding of a Date header hides
	}
	if w.distorted {
		d /= 2 // without a Date to correct the clock, signatures are accepted for 5 minutes
	}
	w.mu.Lock()
	w.ahead = d
	w.mu.Unlock()
	w.kit.STS.SetClockSkew(d)
}

// skewDuring steps STS's clock against the node's during an exchange.
func (w *world) skewDuring(a *actor) {
	latency := time.Duration(1 + w.random.Int64N(int64(5*time.Second)))
	if !w.faulty {
		w.kit.STS.SetLatency(latency)
		defer w.kit.STS.SetLatency(0)
	}
	a.requestRefresh(w.t.Context())
	time.Sleep(time.Duration(w.random.Int64N(int64(latency))))
	synctest.Wait()
	w.skew()
}

// demand starts callers that need more than a cached Retrieve.
func (w *world) demand() {
	a := w.randomActor()
	timeout := time.Duration(w.random.IntN(30)) * time.Second
	switch w.random.IntN(6) {
	case 0:
		a.requestRefresh(w.t.Context())
	case 1:
		a.recordReason()
		w.background(timeout, func(ctx context.Context) { w.checkError(a, a.Refresh(ctx)) })
	case 2:
		a.recordReason()
		view := a.MinTTL(time.Duration(w.random.Int64N(int64(min(w.life, time.Hour)))))
		w.background(timeout, func(ctx context.Context) {
			_, err := view.Retrieve(ctx)
			w.checkError(a, err)
		})
	case 3:
		w.background(timeout, func(ctx context.Context) { w.checkError(a, a.WaitReady(ctx)) })
	case 4:
		w.startCallers(a)
	case 5:
		a.idleUntil = time.Now().Add(time.Duration(w.random.Int64N(int64(5 * w.life))))
	}
}

// background runs a caller with a timeout.
func (w *world) background(timeout time.Duration, call func(context.Context)) {
	w.callers.Go(func() {
		ctx, cancel := w.t.Context(), func() {}
		if timeout < noDeadline {
			ctx, cancel = context.WithTimeout(ctx, timeout)
		}
		defer cancel()
		start := time.Now()
		call(ctx)
		w.check(time.Since(start) <= timeout, "a caller waited longer than its timeout")
	})
}
