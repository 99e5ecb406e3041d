package main

import (
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
	Duration       time.Duration // of the outage
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
	var good timeline // of the requests that returned credentials within a second
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
