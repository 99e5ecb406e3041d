package main

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
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

// ask lets callers ask a provider at a fixed rate until ctx ends: all that was due by then,
// also where they are late. It returns the requests in no order.
func ask(ctx context.Context, provider aws.CredentialsProvider, callers int, every time.Duration) []request {
	var ended atomic.Pointer[time.Time]
	defer context.AfterFunc(ctx, func() { ended.Store(new(time.Now())) })()
	late := func(due time.Time) bool {
		end := ended.Load()
		return end != nil && due.After(*end)
	}
	answers := make([][]request, callers)
	var working sync.WaitGroup
	begin := time.Now()
	for i := range callers {
		working.Go(func() {
			first := begin.Add(every * time.Duration(i) / time.Duration(callers))
			answers[i] = askOn(ctx, provider, first, every, late)
		})
	}
	working.Wait()
	return slices.Concat(answers...)
}

// askOn is one caller, who does not ask what is due too late.
func askOn(ctx context.Context, provider aws.CredentialsProvider, due time.Time, every time.Duration, late func(time.Time) bool) []request {
	mine := make([]request, 0, 4096) // so that callers seldom need more
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		for !due.After(time.Now()) && !late(due) {
			mine = append(mine, askOnce(provider, due))
			due = due.Add(every)
		}
		if ctx.Err() != nil {
			return mine
		}
		timer.Reset(time.Until(due))
	}
}

// askOnce is a request. Who gets credentials that are empty or have expired got none.
func askOnce(provider aws.CredentialsProvider, due time.Time) request {
	creds, err := provider.Retrieve(context.Background())
	return request{due, time.Since(due), err != nil || !creds.HasKeys() || creds.Expired()}
}

// summary is what requests have in common.
type summary struct {
	took         []time.Duration // sorted
	slow, failed int
}

func summarize(all []request) summary {
	var a summary
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
func (a summary) percentile(share float64) time.Duration {
	if len(a.took) == 0 {
		return 0
	}
	return a.took[min(int(share*float64(len(a.took))), len(a.took)-1)]
}
