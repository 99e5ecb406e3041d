package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// steadyPlan configures a steady load through refreshes.
type steadyPlan struct {
	callers       int
	every, run    time.Duration
	life, latency time.Duration
}

const (
	requests  = "requests"
	overSlow  = "over 10 ms"
	failures  = "failed"
	stsCalls  = "STS calls"
	farTail   = "p99.99"
	latencies = "latency" // a chart
)

// steady measures requests while credentials are refreshed.
func steady(p steadyPlan) measure {
	return measure{
		name: "steady", title: "A steady load through refreshes",
		about: fmt.Sprintf("%d callers, each asking every %v, for %v; credentials live %v and STS takes %v to answer. "+
			"A request's time counts from the moment it was due, so that a caller who is held up hides nothing "+
			"(coordinated omission). The process has real-time priority and its garbage collector rests, so that neither delays a caller. Static keys show what the machine itself adds. Lives this short bring in seconds what an hour's "+
			"bring in a day: of those, one in %.0f requests would meet a refresh of the SDK's.",
			p.callers, p.every, p.run, p.life, p.latency, time.Hour.Seconds()/p.latency.Seconds()),
		run: func(ctx context.Context, l *lab, s *sheet) error {
			for _, c := range []contender{staticKeys, irsakit, asConfig, withWindow} {
				l.progress("%s", c.name)
				if err := steadyRun(ctx, l, s, c, p); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

var percentiles = []struct {
	name  string
	share float64
}{{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {farTail, 0.9999}, {longest, 1}}

func steadyRun(ctx context.Context, l *lab, s *sheet, c contender, p steadyPlan) (err error) {
	place, release, err := l.sts.place(Setup{Life: p.life, Latency: p.latency, Exact: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	var t traffic
	provider, err := loaded(ctx, c, place, &t)
	if err != nil {
		return err
	}
	defer closeProvider(provider)
	first := len(t.list())
	running, cancel := context.WithTimeout(ctx, p.run)
	defer cancel()
	ordinary := realTime()
	begin := time.Now()
	all := ask(running, provider, p.callers, p.every)
	ordinary()
	a := summarize(all)
	for _, p := range percentiles {
		s.addTime("", c.name, p.name, a.percentile(p.share))
	}
	s.addCount("", c.name, overSlow, a.slow)
	s.addCount("", c.name, failures, a.failed)
	s.addCount("", c.name, requests, len(all))
	s.addCount("", c.name, stsCalls, len(t.list())-first)
	conditions := fmt.Sprintf("%d callers; credentials live %v, STS answers after %v", p.callers, p.life, p.latency)
	s.draw(series{latencies, conditions, c.name, 0, slot.Seconds(), longestBySlot(all, begin, p.run)})
	return ctx.Err()
}

// slot is the duration that a point of the chart represents.
const slot = 50 * time.Millisecond

// longestBySlot returns the duration of the longest request in each slot, in milliseconds.
func longestBySlot(all []request, begin time.Time, run time.Duration) []float64 {
	longest := make([]float64, run/slot)
	for _, r := range all {
		if i := int(r.due.Sub(begin) / slot); i >= 0 && i < len(longest) {
			longest[i] = max(longest[i], float64(r.took.Round(10*time.Microsecond))/float64(time.Millisecond))
		}
	}
	return longest
}
