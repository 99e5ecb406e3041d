package main

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// rotationPlan configures the simulation of a token file that is rotated repeatedly, and of an expired
// token that is replaced.
type rotationPlan struct {
	Providers, Expired                             int // per contender, with a valid and an expired token
	Every, Run, Lifetime, Latency, Rotate, Partial time.Duration
	ExpiredEvery, Wait                             time.Duration // an expired token is replaced after Wait to twice that
}

const (
	swaps    = "atomic swaps"
	inPlace  = "written in place"
	replaced = "expired token replaced"
	goodKeys = "time to credentials"
)

func (p rotationPlan) run(t *testing.T, s *sheet) {
	for _, c := range dynamic {
		synctest.Test(t, func(t *testing.T) { p.rotate(t, s, c, swaps, (*world).swap) })
		synctest.Test(t, func(t *testing.T) { p.rotate(t, s, c, inPlace, p.writeSlowly) })
		synctest.Test(t, func(t *testing.T) { p.replaceExpired(t, s, c) })
	}
}

func (w *world) swap() { w.pod.Rotate() }

// writeSlowly leaves the file empty or truncated for a while.
func (p rotationPlan) writeSlowly(w *world) {
	token := []byte(w.sa.Token())
	w.pod.WriteInPlace(token[:rand.N(2)*len(token)*9/10])
	time.Sleep(p.Partial)
	w.pod.WriteInPlace(token)
}

// rotate calls providers that have credentials while the token is rotated.
func (p rotationPlan) rotate(t *testing.T, s *sheet, c contender, scene string, rotate func(*world)) {
	w := newWorld(t, p.Lifetime, p.Latency)
	end := time.Now().Add(p.Lifetime + p.Run)
	var kubelet sync.WaitGroup
	kubelet.Go(func() {
		for time.Sleep(p.Lifetime); time.Now().Before(end); time.Sleep(p.Rotate/2 + rand.N(p.Rotate)) {
			rotate(w)
		}
	})
	total := callUntil(end, w.providers(t, c, p.Providers), p.Lifetime, p.Every)
	kubelet.Wait()
	s.addCount(scene, c.name, requests, total.count)
	s.addCount(scene, c.name, failures, total.failed)
	s.addCount(scene, c.name, stsCalls, w.STS.CallCount())
}

// replaceExpired starts providers with an expired token, which is replaced at a random time.
func (p rotationPlan) replaceExpired(t *testing.T, s *sheet, c contender) {
	var longest time.Duration
	var most int
	for range p.Expired {
		w := newWorld(t, time.Hour, p.Latency)
		w.pod.Rotate(irsatest.Invalid("expired"))
		provider := w.provider(t, c)
		replacement := time.Now().Add(p.Wait + rand.N(p.Wait))
		time.AfterFunc(time.Until(replacement), w.swap)
		for callOnce(provider, time.Now()).failed {
			time.Sleep(p.ExpiredEvery)
		}
		longest, most = max(longest, time.Since(replacement)), max(most, w.STS.CallCount())
	}
	s.addTime(replaced, c.name, goodKeys, longest)
	s.addCount(replaced, c.name, stsCalls, most)
}
