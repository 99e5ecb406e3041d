package main

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// TestOutage simulates outages that are shorter and longer than the remaining lifetime of the credentials
// at the time of irsakit's refresh.
func TestOutage(t *testing.T) {
	simulate(t, func(p plan, s *sheet) {
		for _, length := range []string{shorter, longer} {
			lifetime := map[string]time.Duration{shorter: p.Outage.Long, longer: p.Outage.Short}[length]
			for _, kind := range kinds {
				for _, c := range dynamic {
					synctest.Test(t, func(t *testing.T) {
						o := &outage{plan: p.Outage, world: newWorld(t, lifetime, p.Outage.Latency), fault: kind.fault}
						o.run(o.provider(t, c))
						o.report(s, length+kind.name, c.name)
					})
				}
			}
		}
		for _, kind := range kinds {
			assert.Zero(t, s.find(shorter+kind.name, ours, failures).median(), kind.name)
		}
	})
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
	begun := make(chan struct{})
	before := func() {
		o.begin = time.Now()
		if o.fault == "" {
			o.STS.Down()
		} else {
			o.STS.Fail(o.fault, -1)
		}
		close(begun)
	}
	o.before.Store(&before)
	var stop atomic.Pointer[time.Time]
	var callers sync.WaitGroup
	callers.Go(func() {
		o.requests = call(provider, o.plan.Callers, o.plan.Every, func(due time.Time) bool {
			end := stop.Load()
			return end != nil && due.After(*end)
		})
	})
	<-begun
	time.Sleep(o.plan.Duration)
	o.end = time.Now()
	if o.fault == irsatest.Hang {
		o.STS.Fail(o.fault, 0)
		time.Sleep(o.plan.Hang - o.plan.Duration)
	}
	o.STS.Recover()
	stop.Store(new(time.Now().Add(o.plan.After)))
	callers.Wait()
}

func (o *outage) report(s *sheet, scene, contender string) {
	var total tally
	var good []time.Time // of the requests that returned credentials within a second
	first := o.plan.Hang + o.plan.After
	for _, r := range o.requests {
		total.add(r)
		if after := r.due.Add(r.took).Sub(o.end); !r.failed && after >= 0 {
			first = min(first, after)
		}
		if !r.failed && r.took <= time.Second {
			good = append(good, r.due)
		}
	}
	total.report(s, scene, contender)
	calls := o.calls()
	from, _ := slices.BinarySearchFunc(calls, o.begin, time.Time.Compare)
	to, _ := slices.BinarySearchFunc(calls, o.end, time.Time.Compare)
	s.addCount(scene, contender, during, to-from)
	s.addTime(scene, contender, recovery, first)
	begin := o.begin.Add(chartFrom * time.Second)
	s.draw(series{served + ", " + scene, contender, chartFrom, 1, perInterval(good, begin, time.Second, chartTo-chartFrom)})
	s.draw(series{calling + ", " + scene, contender, chartFrom, 1, perInterval(calls, begin, time.Second, chartTo-chartFrom)})
}

// TestRotation simulates a token file that is rotated repeatedly, and an expired token that is replaced.
func TestRotation(t *testing.T) {
	simulate(t, func(p plan, s *sheet) {
		for _, c := range dynamic {
			synctest.Test(t, func(t *testing.T) { p.Rotation.rotate(t, s, c, swaps, (*world).swap) })
			synctest.Test(t, func(t *testing.T) { p.Rotation.rotate(t, s, c, inPlace, p.Rotation.writeSlowly) })
			synctest.Test(t, func(t *testing.T) { p.Rotation.replaceExpired(t, s, c) })
		}
		assert.Zero(t, s.find(inPlace, ours, failures).median())
		assert.NotZero(t, s.find(inPlace, sdk, failures).median())
	})
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
	total := w.run(p.Providers, p.Lifetime, p.Every, end, func(int) aws.CredentialsProvider { return w.provider(t, c) })
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
