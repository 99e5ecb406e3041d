package main

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// steadyPlan configures a steady load through refreshes.
type steadyPlan struct {
	Callers                       int
	Every, Run, Lifetime, Latency time.Duration
}

// PerRefresh returns the number of requests at a constant rate of which one is due during a refresh of
// credentials that live an hour.
func (p steadyPlan) PerRefresh() int { return int(time.Hour / p.Latency) }

const (
	requests  = "requests"
	overSlow  = "over 10 ms"
	failures  = "failed"
	longest   = "longest"
	stsCalls  = "STS calls"
	farTail   = "p99.99"
	latencies = "latency" // a chart
)

// run measures requests while credentials are refreshed.
func (p steadyPlan) run(ctx context.Context, l *lab, s *sheet) error {
	for _, c := range []contender{staticKeys, irsakit, asConfig, withWindow} {
		if err := p.measure(ctx, l, s, c); err != nil {
			return err
		}
	}
	return nil
}

func (p steadyPlan) measure(ctx context.Context, l *lab, s *sheet, c contender) error {
	place, err := l.place(Setup{Lifetime: p.Lifetime, Latency: p.Latency, Exact: true})
	if err != nil {
		return err
	}
	var t traffic
	providers, err := l.loaded(ctx, c, place, &t, 1)
	if err != nil {
		return err
	}
	first := len(t.list())
	running, cancel := context.WithTimeout(ctx, p.Run)
	defer cancel()
	restore := realTime()
	begin := time.Now()
	all := call(running, providers[0], p.Callers, p.Every)
	restore()
	slices.SortFunc(all, func(a, b request) int { return cmp.Compare(a.took, b.took) })
	for _, p := range []struct {
		name  string
		share float64
	}{{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {farTail, 0.9999}} {
		s.addTime("", c.name, p.name, percentile(all, p.share))
	}
	total := summarize(all)
	total.report(s, "", c.name)
	s.addCount("", c.name, stsCalls, len(t.list())-first)
	s.draw(series{latencies, c.name, 0, slot.Seconds(), longestBySlot(all, begin, p.Run)})
	return l.close() // before the next contender runs
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
