package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
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

func (p steadyPlan) run(t *testing.T, s *sheet) {
	for _, c := range []contender{{static, newStatic}, irsakit, asConfig, withWindow} {
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

// A request is one call of Retrieve.
type request struct {
	due    time.Time     // the planned time of the call, even if the caller was late
	took   time.Duration // the time since due, so that a late caller hides no delay
	failed bool
}

// slow is the duration above which a request counts as slow.
const slow = 10 * time.Millisecond

// call runs a caller for each provider, which makes its first request after the time of first. Callers make
// requests at a fixed rate until one that is due is over. Late callers make all requests that are due. The
// requests are in no particular order.
func call(providers []aws.CredentialsProvider, first func(i int) time.Duration, every time.Duration, over func(due time.Time) bool) []request {
	requests := make([][]request, len(providers))
	begin := time.Now()
	var running sync.WaitGroup
	for i, provider := range providers {
		running.Go(func() {
			mine := make([]request, 0, 4096) // large enough for most callers
			for due := begin.Add(first(i)); !over(due); due = due.Add(every) {
				time.Sleep(time.Until(due))
				mine = append(mine, callOnce(provider, due))
			}
			requests[i] = mine
		})
	}
	running.Wait()
	return slices.Concat(requests...)
}

// callEvenly is like call with n callers of one provider, whose requests are due at different times.
func callEvenly(provider aws.CredentialsProvider, n int, every time.Duration, over func(due time.Time) bool) []request {
	first := func(i int) time.Duration { return every * time.Duration(i) / time.Duration(n) }
	return call(slices.Repeat([]aws.CredentialsProvider{provider}, n), first, every, over)
}

// callOnce makes one request. Empty or expired credentials count as a failure.
func callOnce(provider aws.CredentialsProvider, due time.Time) request {
	creds, err := provider.Retrieve(context.Background())
	return request{due, time.Since(due), err != nil || !creds.HasKeys() || creds.Expired()}
}

type tally struct {
	count, slow, failed int
	longest             time.Duration
}

func summarize(all []request) (t tally) {
	for _, r := range all {
		t.add(r)
	}
	return t
}

func (t *tally) add(r request) {
	t.count++
	if r.took > slow {
		t.slow++
	}
	if r.failed {
		t.failed++
	}
	t.longest = max(t.longest, r.took)
}

func (t tally) report(s *sheet, scene, contender string) {
	s.addCount(scene, contender, requests, t.count)
	s.addCount(scene, contender, failures, t.failed)
	s.addCount(scene, contender, overSlow, t.slow)
	s.addTime(scene, contender, longest, t.longest)
}
