package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// herdPlan configures the measure of pods that start at the same instant.
type herdPlan struct {
	pods  int
	life  time.Duration
	lives int
	every time.Duration // between two calls of a provider
}

const (
	atStart = "peak at the start"
	later   = "peak from the first refresh on"
	herding = "herd" // the chart

	herdLatency = 50 * time.Millisecond // of STS
)

// herd measures when pods that started at the same instant call STS.
func herd(p herdPlan) measure {
	return measure{
		name: "herd", title: "A thousand pods that start at the same instant",
		about: fmt.Sprintf("%d providers of each contender get their first credentials at the same instant, and are asked every %v for "+
			"%d lives of %v. A peak is the most STS calls within any hundredth of the life.", p.pods, p.every, p.lives, p.life),
		run: func(ctx context.Context, l *lab, s *sheet) (err error) {
			l.progress("%d pods of each, %d lives of %v", p.pods, p.lives, p.life)
			var running sync.WaitGroup
			contenders := []contender{irsakit, asConfig, withWindow}
			traffics, unserved, failed := make([]traffic, len(contenders)), make([]int, len(contenders)), make([]error, len(contenders))
			for i, c := range contenders {
				running.Go(func() { unserved[i], failed[i] = stampede(ctx, l, c, &traffics[i], p) })
			}
			running.Wait()
			if err := errors.Join(failed...); err != nil || ctx.Err() != nil {
				return errors.Join(err, ctx.Err())
			}
			for i, c := range contenders {
				reportHerd(s, c.name, traffics[i].list(), p)
				s.addCount("", c.name, failures, unserved[i])
			}
			return nil
		},
	}
}

// stampede starts the pods of a contender and calls their providers. It returns the number
// of requests that failed.
func stampede(ctx context.Context, l *lab, c contender, t *traffic, p herdPlan) (unserved int, err error) {
	place, release, err := l.sts.place(Setup{Life: p.life, Latency: herdLatency})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, release()) }()
	providers := make([]aws.CredentialsProvider, p.pods)
	for i := range providers {
		provider, err := made(ctx, c, place, t)
		if err != nil {
			return 0, err
		}
		defer closeProvider(provider)
		providers[i] = provider
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(p.lives)*p.life+p.life/2)
	defer cancel()
	var asking sync.WaitGroup
	var failed atomic.Int64
	for _, provider := range providers {
		asking.Go(func() {
			for ctx.Err() == nil {
				if askOnce(provider, time.Now()).failed {
					failed.Add(1)
				}
				sleep(ctx, p.every)
			}
		})
	}
	asking.Wait()
	return int(failed.Load()), nil
}

func reportHerd(s *sheet, contender string, calls []time.Time, p herdPlan) {
	calls = slices.SortedFunc(slices.Values(calls), time.Time.Compare)
	first := calls[0]
	refreshes, _ := slices.BinarySearchFunc(calls, first.Add(p.life/2), time.Time.Compare)
	s.addCount("", contender, atStart, peak(calls[:refreshes], p.life/100))
	s.addCount("", contender, later, peak(calls[refreshes:], p.life/100))
	s.addCount("", contender, stsCalls, len(calls))
	counts := make([]float64, p.lives*100)
	for _, call := range calls {
		if i := int(call.Sub(first) * 100 / p.life); i < len(counts) {
			counts[i]++
		}
	}
	conditions := fmt.Sprintf("credentials live %v, STS answers after %v", p.life, herdLatency)
	s.draw(series{herding, conditions, contender, 0, 0.01, counts})
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
