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
func (t tally) report(s *sheet, scene, contender string) {
	s.addCount(scene, contender, requests, t.count)
	s.addCount(scene, contender, failures, t.failed)
	s.addCount(scene, contender, overSlow, t.slow)
	s.addTime(scene, contender, longest, t.longest)
}
