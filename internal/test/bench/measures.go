package main

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// The figures and scenes of cached.
const (
	perCall     = "time per call"
	allocations = "allocations"
	serial      = "serial"
	parallel    = "parallel"
	separate    = "separate"
)

// cachedPlan configures the measure of Retrieve while the credentials are valid.
type cachedPlan struct{ Rounds int }

func (p cachedPlan) run(ctx context.Context, l *lab, s *sheet) error {
	place, err := l.place(Setup{Lifetime: time.Hour})
	if err != nil {
		return err
	}
	providers := make([][]aws.CredentialsProvider, len(dynamic)) // one per contender and processor
	for i, c := range dynamic {
		if providers[i], err = l.providers(ctx, c, place, &traffic{}, runtime.NumCPU(), true); err != nil {
			return err
		}
	}
	for range p.Rounds {
		for i, c := range dynamic {
			benchmark(s, serial, c.name, providers[i][:1])
			benchmark(s, parallel, c.name, slices.Repeat(providers[i][:1], len(providers[i])))
			benchmark(s, separate, c.name, providers[i])
		}
	}
	return nil
}

// benchmark records the time of a call. Each provider has one caller, on a separate processor.
func benchmark(s *sheet, scene, contender string, providers []aws.CredentialsProvider) {
	callers := len(providers)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(callers))
	result := testing.Benchmark(func(b *testing.B) {
		ctx := b.Context()
		var next atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			provider := providers[next.Add(1)-1]
			for pb.Next() {
				if _, err := provider.Retrieve(ctx); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
	s.add(scene, contender, perCall, elapsed, float64(result.T)*float64(callers)/float64(result.N))
	s.addCount(scene, contender, allocations, int(result.AllocsPerOp()))
	s.add(scene, contender, "bytes", memory, float64(result.AllocedBytesPerOp()))
}

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
	providers, err := l.providers(ctx, c, place, &t, 1, true)
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
	if ctx.Err() != nil {
		return ctx.Err()
	}
	slices.SortFunc(all, func(a, b request) int { return cmp.Compare(a.took, b.took) })
	for _, p := range []struct {
		name  string
		share float64
	}{{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {farTail, 0.9999}} {
		s.addTime("", c.name, p.name, all[int(p.share*float64(len(all)))].took)
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

// herdPlan configures the measure of pods that start at the same instant.
type herdPlan struct {
	Pods, Lifetimes          int
	Lifetime, Latency, Every time.Duration
}

const (
	atStart = "peak at the start"
	later   = "peak from the first refresh on"
	herding = "herd" // the chart
)

// run measures when pods that started at the same instant call STS.
func (p herdPlan) run(ctx context.Context, l *lab, s *sheet) error {
	contenders := []contender{irsakit, asConfig, withWindow}
	traffics, failed := make([]traffic, len(contenders)), make([]atomic.Int64, len(contenders))
	var pods []aws.CredentialsProvider
	for i, c := range contenders {
		place, err := l.place(Setup{Lifetime: p.Lifetime, Latency: p.Latency})
		if err != nil {
			return err
		}
		providers, err := l.providers(ctx, c, place, &traffics[i], p.Pods, false)
		if err != nil {
			return err
		}
		pods = append(pods, providers...)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(p.Lifetimes)*p.Lifetime+p.Lifetime/2)
	defer cancel()
	_ = each(ctx, len(pods), func(ctx context.Context, i int) error {
		for ; ctx.Err() == nil; sleep(ctx, p.Every) {
			if callOnce(pods[i], time.Now()).failed {
				failed[i/p.Pods].Add(1)
			}
		}
		return nil
	})
	for i, c := range contenders {
		p.report(s, c.name, traffics[i].list())
		s.addCount("", c.name, failures, int(failed[i].Load()))
	}
	return nil
}

func (p herdPlan) report(s *sheet, contender string, calls []time.Time) {
	calls = slices.SortedFunc(slices.Values(calls), time.Time.Compare)
	first := calls[0]
	refreshes, _ := slices.BinarySearchFunc(calls, first.Add(p.Lifetime/2), time.Time.Compare)
	s.addCount("", contender, atStart, peak(calls[:refreshes], p.Lifetime/100))
	s.addCount("", contender, later, peak(calls[refreshes:], p.Lifetime/100))
	s.addCount("", contender, stsCalls, len(calls))
	s.draw(series{herding, contender, 0, 0.01, perInterval(calls, first, p.Lifetime/100, p.Lifetimes*100)})
}

// peak returns the maximum number of calls within any window.
func peak(calls []time.Time, window time.Duration) int {
	most, from := 0, 0
	for i, call := range calls {
		for call.Sub(calls[from]) >= window {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}
