package main

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A request is one call of Retrieve.
type request struct {
	due    time.Time     // the planned time of the call, even if the caller was late
	took   time.Duration // the time since due, so that a late caller hides no delay
	failed bool
}

func (r request) done() time.Time { return r.due.Add(r.took) }

// slow is the duration from which on a caller notices a delay.
const slow = 10 * time.Millisecond

// ask runs callers that call the provider at a fixed rate until ctx is done. They make all
// calls that were due by then, even if they are late. The requests are in no particular order.
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

// askOn runs one caller. It makes no calls for which late returns true.
func askOn(ctx context.Context, provider aws.CredentialsProvider, due time.Time, every time.Duration, late func(time.Time) bool) []request {
	mine := make([]request, 0, 4096) // large enough for most callers
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

// askOnce makes one request. Empty or expired credentials count as a failure.
func askOnce(provider aws.CredentialsProvider, due time.Time) request {
	creds, err := provider.Retrieve(context.Background())
	return request{due, time.Since(due), err != nil || !creds.HasKeys() || creds.Expired()}
}

// summary summarizes requests.
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

// percentile returns the maximum duration of the given share of the requests.
func (a summary) percentile(share float64) time.Duration {
	if len(a.took) == 0 {
		return 0
	}
	return a.took[min(int(share*float64(len(a.took))), len(a.took)-1)]
}
