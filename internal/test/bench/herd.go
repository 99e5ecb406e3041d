package main

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// herdPlan configures the measure of pods that start at the same instant.
type herdPlan struct {
	Pods              int
	Lifetime, Latency time.Duration
	Lifetimes         int
	Every             time.Duration // between two calls of a provider
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
		providers, err := l.providers(ctx, c, place, &traffics[i], p.Pods)
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
	counts := make([]float64, p.Lifetimes*100)
	for _, call := range calls {
		if i := int(call.Sub(first) * 100 / p.Lifetime); i < len(counts) {
			counts[i]++
		}
	}
	s.draw(series{herding, contender, 0, 0.01, counts})
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
