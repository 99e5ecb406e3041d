package main

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// outagePlan configures the simulation of an outage of STS. It begins when the contender refreshes, which
// is its worst case.
type outagePlan struct {
	Callers        int
	Every, Latency time.Duration
	Long, Short    time.Duration // lifetimes of credentials
	Duration       time.Duration // how long the outage lasts
	Hang           time.Duration // duration of a call that hangs, which may exceed the outage
	After          time.Duration // how long callers continue afterwards
}

const (
	during   = "STS calls during outage"
	recovery = "recovery"
	shorter  = "shorter: "
	longer   = "longer: "
	served   = "served" // charts
	calling  = "calls"

	chartFrom, chartTo = -5, 20 // in seconds since the outage began
)

// kinds contains the kinds of outages.
var kinds = []struct {
	name  string
	fault irsatest.Fault // "" means that connections are refused
}{
	{"refused", ""},
	{"503", irsatest.Unavailable},
	{"throttled", irsatest.Throttling},
	{"IDP error", irsatest.IDPCommunicationError},
	{"hang", irsatest.Hang},
}

// run simulates outages that are shorter and longer than the remaining lifetime of the credentials at the
// time of irsakit's refresh.
func (p outagePlan) run(t *testing.T, s *sheet) {
	for _, length := range []string{shorter, longer} {
		lifetime := map[string]time.Duration{shorter: p.Long, longer: p.Short}[length]
		for _, kind := range kinds {
			for _, c := range dynamic {
				synctest.Test(t, func(t *testing.T) {
					o := &outage{plan: p, world: newWorld(t, lifetime, p.Latency), fault: kind.fault}
					o.run(o.provider(t, c))
					o.report(s, length+kind.name, c.name)
				})
			}
		}
	}
}

// outage is an outage of one kind for one contender.
type outage struct {
	plan outagePlan
	*world
	fault      irsatest.Fault
	begin, end time.Time
	requests   []request
}

// run makes requests before, during and after the outage. Late callers make all requests that are due.
func (o *outage) run(provider aws.CredentialsProvider) {
	callOnce(provider, time.Now())
	var last atomic.Pointer[time.Time] // when the last requests are due
	before := func() {
		o.begin = time.Now()
		o.end = o.begin.Add(o.plan.Duration)
		recovered := o.end
		if o.fault == "" {
			o.STS.Down()
		} else {
			o.STS.Fail(o.fault, -1)
		}
		if o.fault == irsatest.Hang {
			recovered = o.begin.Add(o.plan.Hang)
			time.AfterFunc(o.plan.Duration, func() { o.STS.Fail(o.fault, 0) })
		}
		time.AfterFunc(time.Until(recovered), o.STS.Recover)
		last.Store(new(recovered.Add(o.plan.After)))
	}
	o.before.Store(&before)
	o.requests = callEvenly(provider, o.plan.Callers, o.plan.Every, func(due time.Time) bool {
		last := last.Load()
		return last != nil && due.After(*last)
	})
}

func (o *outage) report(s *sheet, scene, contender string) {
	var good timeline // requests that returned credentials within a second
	first := o.plan.Hang + o.plan.After
	for _, r := range o.requests {
		if after := r.due.Add(r.took).Sub(o.end); !r.failed && after >= 0 {
			first = min(first, after)
		}
		if !r.failed && r.took <= time.Second {
			good = append(good, r.due)
		}
	}
	summarize(o.requests).report(s, scene, contender)
	calls := o.calls()
	s.addCount(scene, contender, during, len(calls.from(o.begin))-len(calls.from(o.end)))
	s.addTime(scene, contender, recovery, first)
	chart := func(name string, times timeline) {
		begin := o.begin.Add(chartFrom * time.Second)
		s.draw(series{name + ", " + scene, contender, chartFrom, 1, times.perInterval(begin, time.Second, chartTo-chartFrom)})
	}
	chart(served, good)
	chart(calling, calls)
}

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
