package main

import (
	"cmp"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
func (p steadyPlan) run(t *testing.T, s *sheet) {
	for _, c := range []contender{staticKeys, irsakit, asConfig, withWindow} {
		t.Run(c.name, func(t *testing.T) { p.measure(t, s, c) })
	}
}

func (p steadyPlan) measure(t *testing.T, s *sheet, c contender) {
	network := newTraffic()
	provider := c.open(t, startSTS(t, setup{Lifetime: p.Lifetime, Latency: p.Latency}), network)
	_, err := provider.Retrieve(t.Context())
	must(t, err)
	first := network.calls.Load()
	percent := debug.SetGCPercent(-1) // neither the garbage collector nor another process delays a caller
	if err := schedule(unix.SCHED_FIFO, 1); err != nil {
		fmt.Fprintf(os.Stderr, "no real-time priority, so the machine affects the far percentiles: %v\n", err)
	}
	begin := time.Now()
	all := callEvenly(provider, p.Callers, p.Every, begin.Add(p.Run).Before)
	_ = schedule(unix.SCHED_NORMAL, 0) // allowed for all processes
	debug.SetGCPercent(percent)
	slices.SortFunc(all, func(a, b request) int { return cmp.Compare(a.took, b.took) })
	for _, p := range []struct {
		name  string
		share float64
	}{{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {farTail, 0.9999}} {
		s.addTime("", c.name, p.name, all[int(p.share*float64(len(all)))].took)
	}
	summarize(all).report(s, "", c.name)
	s.addCount("", c.name, stsCalls, int(network.calls.Load()-first))
	s.draw(series{latencies, c.name, 0, slot.Seconds(), longestBySlot(all, begin, p.Run)})
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
