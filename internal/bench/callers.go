package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A request is one time that a caller asked for credentials.
type request struct {
	due    time.Time     // when he meant to ask, whatever kept him from it
	took   time.Duration // since then, so that a caller who is held up hides nothing
	failed bool
}

func (r request) done() time.Time { return r.due.Add(r.took) }

// slow is what a caller notices.
const slow = 10 * time.Millisecond

// ask lets callers ask a provider at a fixed rate until ctx ends, also those requests for
// which they are late by then. It returns all requests, in the order in which they were due.
func ask(ctx context.Context, provider aws.CredentialsProvider, callers int, every time.Duration) []request {
	var mu sync.Mutex
	var all []request
	var working sync.WaitGroup
	begin := time.Now()
	for i := range callers {
		working.Go(func() {
			mine := askOn(ctx, provider, begin.Add(every*time.Duration(i)/time.Duration(callers)), every)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
		})
	}
	working.Wait()
	slices.SortFunc(all, func(a, b request) int { return a.due.Compare(b.due) })
	return all
}

// askOn is one caller.
func askOn(ctx context.Context, provider aws.CredentialsProvider, due time.Time, every time.Duration) []request {
	var mine []request
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return mine
		case <-timer.C:
		}
		for ; !due.After(time.Now()); due = due.Add(every) {
			if ctx.Err() != nil && due.After(time.Now().Add(-every)) {
				return mine
			}
			_, err := provider.Retrieve(context.WithoutCancel(ctx))
			mine = append(mine, request{due, time.Since(due), err != nil})
		}
		timer.Reset(time.Until(due))
	}
}

// answered is what requests have in common.
type answered struct {
	took         []time.Duration // sorted
	slow, failed int
}

func summarize(all []request) answered {
	var a answered
	for _, r := range all {
		a.took = append(a.took, r.took)
		if r.took > slow {
			a.slow++
		}
		if r.failed {
			a.failed++
		}
	}
	slices.Sort(a.took)
	return a
}

// percentile returns what this share of the requests took at most.
func (a answered) percentile(share float64) time.Duration {
	if len(a.took) == 0 {
		return 0
	}
	return a.took[min(int(share*float64(len(a.took))), len(a.took)-1)]
}
