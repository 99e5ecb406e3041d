package irsa_test

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/irsakit/irsakit/internal/testsize"
)

var (
	tortureDays = flag.Int("torture.days", 5, "how many `days` the torture simulates, each from a seed of its own")
	tortureSeed = flag.Uint64("torture.seed", 1, "the `seed` of its first day")
)

// A day of everything that can happen between a token file and a caller, in an order that
// its seed decides. After each step the promises hold: see world.
//
//	go test ./irsa -run Torture -torture.days 1000
//	go test ./irsa -run Torture -torture.days 1 -torture.seed 77
func TestProviderStress(t *testing.T) {
	t.Parallel()
	for day := range uint64(testsize.Choose(min(*tortureDays, 1), *tortureDays, *tortureDays)) {
		seed := *tortureSeed + day
		ok := t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newWorld(t, seed).day() })
		})
		if !ok {
			t.Fatalf("again with: go test ./irsa -run Torture -torture.days 1 -torture.seed %d", seed)
		}
	}
}

// day lets 24 hours pass.
func (w *world) day() {
	start := time.Now()
	for time.Since(start) < 24*time.Hour {
		w.act()
		w.kubelet()
		time.Sleep(w.pause())
		synctest.Wait() // so that what was due has been done
		w.ask()
		w.nag()
		if w.t.Failed() {
			break
		}
	}
	w.recover()
	w.close()
	w.callers.Wait()
}

// pause is how long nothing happens. Trouble is mostly short: a token file that is looked
// at each second costs the machine its time.
func (w *world) pause() time.Duration {
	most := 15 * time.Minute
	if w.trouble && !w.long {
		most = 15 * time.Second
	}
	return time.Duration(w.random.Int64N(int64(most)))
}

// act lets something happen, or nothing.
func (w *world) act() {
	switch n := w.random.IntN(100); {
	case w.trouble && n < 7:
		w.mend()
	case w.trouble && n < 15:
		w.recover()
	case n < 4:
		w.spoil()
		w.bite()
	case n < 6:
		w.rotate()
	case n < 10:
		w.someone().doubt()
	case n < 20:
		w.demand()
	case n < 23:
		w.skew()
	case n < 28 && w.pool != nil:
		w.summon(w.random.IntN(len(w.roles)))
	case n == 28:
		w.close()
		w.open()
	case n == 29:
		w.closeHop()
	case n < 34:
		w.request(w.someone())
	case n < 37:
		a := w.someone()
		a.nagged = !a.nagged
	case n < 41 && w.distorted:
		w.distort()
	case n < 44:
		w.skewDuring(w.someone())
	}
}

// bite has the trouble be met: most of it is over before anybody needs STS.
func (w *world) bite() {
	for _, a := range w.actors {
		switch w.random.IntN(4) {
		case 0:
			a.doubt()
		case 1:
			a.ask(w.t.Context())
		}
	}
}

// kubelet renews the token when it is time.
func (w *world) kubelet() {
	if time.Since(w.rotated) >= w.tokenLife/10*8 {
		w.rotated = time.Now()
		w.noteRotation()
		w.pod.Rotate()
	}
}

// rotate is a new token out of turn, swapped in or, by a copy of the volume, in place.
func (w *world) rotate() {
	w.noteRotation()
	switch w.random.IntN(4) {
	case 0:
		token := w.kit.ServiceAccount("shop", "cart").Token()
		w.pod.WriteInPlace([]byte(token[:w.random.IntN(len(token))]))
		w.pod.WriteInPlace([]byte(token))
	case 1:
		w.pod.Write([]byte(w.pod.Token())) // the same
	default:
		w.pod.Rotate()
	}
}

// skew steps STS's clock against the node's.
func (w *world) skew() {
	d := time.Duration(w.random.Int64N(int64(8*time.Minute))) - 4*time.Minute
	if w.random.IntN(2) == 0 {
		d /= 200 // about what the whole seconds of a Date header hide
	}
	if w.distorted {
		d /= 2 // no Date corrects the clock, and signatures are accepted for 5 minutes
	}
	w.mu.Lock()
	w.ahead = d
	w.mu.Unlock()
	w.kit.STS.SetClockSkew(d)
}

// skewDuring steps STS's clock against the node's while an exchange is under way.
func (w *world) skewDuring(a *actor) {
	latency := time.Duration(1 + w.random.Int64N(int64(5*time.Second)))
	if !w.trouble {
		w.kit.STS.SetLatency(latency)
		defer w.kit.STS.SetLatency(0)
	}
	a.ask(w.t.Context())
	time.Sleep(time.Duration(w.random.Int64N(int64(latency))))
	synctest.Wait()
	w.skew()
}

// demand has callers ask for more than credentials that are there.
func (w *world) demand() {
	a := w.someone()
	patience := time.Duration(w.random.IntN(30)) * time.Second
	switch w.random.IntN(6) {
	case 0:
		a.ask(w.t.Context())
	case 1:
		a.note()
		w.background(patience, func(ctx context.Context) { w.judgeError(a, a.Refresh(ctx)) })
	case 2:
		a.note()
		view := a.MinTTL(time.Duration(w.random.Int64N(int64(min(w.life, time.Hour)))))
		w.background(patience, func(ctx context.Context) {
			_, err := view.Retrieve(ctx)
			w.judgeError(a, err)
		})
	case 3:
		w.background(patience, func(ctx context.Context) { w.judgeError(a, a.WaitReady(ctx)) })
	case 4:
		w.crowd(a)
	case 5:
		a.quiet = time.Now().Add(time.Duration(w.random.Int64N(int64(5 * w.life))))
	}
}

// background runs a caller who waits no longer than his patience.
func (w *world) background(patience time.Duration, call func(context.Context)) {
	w.callers.Go(func() {
		ctx, cancel := w.t.Context(), func() {}
		if patience < endless {
			ctx, cancel = context.WithTimeout(ctx, patience)
		}
		defer cancel()
		start := time.Now()
		call(ctx)
		w.check(time.Since(start) <= patience, "a caller is kept for longer than he would wait")
	})
}
