package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A request is one call of Retrieve.
type request struct {
	due    time.Time     // the planned time of the call, even if the caller was late
	took   time.Duration // the time since due, so that a late caller hides no delay
	failed bool
}

// slow is the duration above which a request counts as slow.
const slow = 10 * time.Millisecond

// call runs callers that call the provider at a fixed rate, until a request that is due is over. Late
// callers make all requests that are due. The requests are in no particular order.
func call(provider aws.CredentialsProvider, callers int, every time.Duration, over func(due time.Time) bool) []request {
	requests := make([][]request, callers)
	begin := time.Now()
	var running sync.WaitGroup
	for i := range callers {
		running.Go(func() {
			mine := make([]request, 0, 4096) // large enough for most callers
			for due := begin.Add(every * time.Duration(i) / time.Duration(callers)); !over(due); due = due.Add(every) {
				time.Sleep(time.Until(due))
				mine = append(mine, callOnce(provider, due))
			}
			requests[i] = mine
		})
	}
	running.Wait()
	return slices.Concat(requests...)
}

// callOnce makes one request. Empty or expired credentials count as a failure.
func callOnce(provider aws.CredentialsProvider, due time.Time) request {
	creds, err := provider.Retrieve(context.Background())
	return request{due, time.Since(due), err != nil || !creds.HasKeys() || creds.Expired()}
}

// tally summarizes requests.
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

// sum returns the tally of all requests.
func sum(all []tally) (total tally) {
	for _, t := range all {
		total.count, total.slow, total.failed = total.count+t.count, total.slow+t.slow, total.failed+t.failed
		total.longest = max(total.longest, t.longest)
	}
	return total
}

// report adds the figures of the tally to s.
func (t *tally) report(s *sheet, scene, contender string) {
	s.addCount(scene, contender, requests, t.count)
	s.addCount(scene, contender, failures, t.failed)
	s.addCount(scene, contender, overSlow, t.slow)
	s.addTime(scene, contender, longest, t.longest)
}
