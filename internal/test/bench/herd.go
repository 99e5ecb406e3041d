package main

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// herdPlan configures the simulation of pods that start at the same instant.
type herdPlan struct {
	Pods, Lifetimes          int
	Lifetime, Latency, Every time.Duration
	Short, Outage            time.Duration // the lifetime and the duration of an outage that outlasts it
}

// survivalPlan configures the simulation of an outage that outlasts all credentials.
type survivalPlan struct {
	Pods      int
	Durations []time.Duration
	Latency   time.Duration
}

const (
	later     = "peak from the first refresh on"
	lastPeak  = "peak in the last lifetime"
	afterward = "peak in a second after an outage"
	herding   = "herd" // a chart

	noneFails = "no pod fails for"
	surviving = "survival" // a chart
)

// pods contains the contenders of the simulations of many pods.
var pods = []contender{irsakit, asConfig, withWindow}

// run simulates pods that start at the same instant, and pods that recover from a common outage.
func (p herdPlan) run(t *testing.T, s *sheet) {
	for _, c := range pods {
		synctest.Test(t, func(t *testing.T) { p.start(t, s, c) })
		synctest.Test(t, func(t *testing.T) { p.recoverTogether(t, s, c) })
	}
}

func (p herdPlan) start(t *testing.T, s *sheet, c contender) {
	w := newWorld(t, p.Lifetime, p.Latency)
	first := time.Now()
	total := callUntil(first.Add(time.Duration(p.Lifetimes)*p.Lifetime), w.providers(t, c, p.Pods), 0, p.Every)
	calls, window := w.calls(), p.Lifetime/100
	refreshes := calls.from(first.Add(p.Lifetime / 2))
	s.addCount("", c.name, "peak at the start", calls[:len(calls)-len(refreshes)].peak(window))
	s.addCount("", c.name, later, refreshes.peak(window))
	s.addCount("", c.name, lastPeak, calls.from(first.Add(time.Duration(p.Lifetimes-1)*p.Lifetime)).peak(window))
	s.addCount("", c.name, stsCalls, len(calls))
	s.addCount("", c.name, failures, total.failed)
	s.draw(series{herding, c.name, 0, 0.01, calls.perInterval(first, window, p.Lifetimes*100)})
}

// recoverTogether simulates an outage that outlasts the credentials of pods that started at random times.
func (p herdPlan) recoverTogether(t *testing.T, s *sheet, c contender) {
	w := newWorld(t, p.Short, p.Latency)
	outage := time.Now().Add(3 * p.Short)
	end := outage.Add(p.Outage)
	time.AfterFunc(time.Until(outage), w.STS.Down)
	time.AfterFunc(time.Until(end), w.STS.Up)
	callUntil(end.Add(10*time.Second), w.providers(t, c, p.Pods), p.Short, p.Every)
	s.addCount("", c.name, afterward, w.calls().from(end).peak(time.Second))
}

// run simulates pods during an outage that outlasts their credentials.
func (p survivalPlan) run(t *testing.T, s *sheet) {
	for _, d := range p.Durations {
		for _, c := range pods {
			synctest.Test(t, func(t *testing.T) { p.survive(t, s, c, d) })
		}
	}
}

// survive starts pods at random times and measures how long they have credentials in the outage.
func (p survivalPlan) survive(t *testing.T, s *sheet, c contender, d time.Duration) {
	w := newWorld(t, d, p.Latency)
	w.place.Duration = d
	outage := time.Now().Add(3 * d)
	survived := make([]time.Duration, p.Pods)
	var running sync.WaitGroup
	for i, provider := range w.providers(t, c, p.Pods) {
		running.Go(func() {
			time.Sleep(rand.N(d))
			for !callOnce(provider, time.Now()).failed {
				survived[i] = max(time.Since(outage), 0)
				time.Sleep(d / 400)
			}
		})
	}
	time.AfterFunc(time.Until(outage), w.STS.Down)
	running.Wait()
	slices.Sort(survived)
	s.addTime(short(d), c.name, noneFails, survived[0])
	s.addTime(short(d), c.name, "half of the pods fail after", survived[p.Pods/2])
	s.addTime(short(d), c.name, "all pods fail after", survived[p.Pods-1])
	percent := make([]float64, 240) // of 12 hours
	for i := range percent {
		dead, _ := slices.BinarySearch(survived, time.Duration(i)*12*time.Hour/240)
		percent[i] = 100 * float64(p.Pods-dead) / float64(p.Pods)
	}
	s.draw(series{surviving, c.name + " for " + short(d), 0, 12.0 / 240, percent})
}
