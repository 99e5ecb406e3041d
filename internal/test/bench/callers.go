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

// slow is the duration above which a request counts as slow.
const slow = 10 * time.Millisecond

// each calls do with 0 to n-1 at the same time. The first error cancels the context of all.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			if err := do(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// sleep waits for d or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// call runs callers that call the provider at a fixed rate until ctx is done. They make all
// calls that were due by then, even if they are late. The requests are in no particular order.
func call(ctx context.Context, provider aws.CredentialsProvider, callers int, every time.Duration) []request {
	var ended atomic.Pointer[time.Time]
	defer context.AfterFunc(ctx, func() { ended.Store(new(time.Now())) })()
	isDue := func(due time.Time) bool {
		end := ended.Load()
		return !due.After(time.Now()) && (end == nil || !due.After(*end))
	}
	requests := make([][]request, callers)
	begin := time.Now()
	_ = each(ctx, callers, func(ctx context.Context, i int) error {
		due := begin.Add(every * time.Duration(i) / time.Duration(callers))
		mine := make([]request, 0, 4096) // large enough for most callers
		timer := time.NewTimer(time.Until(due))
		defer timer.Stop()
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			for ; isDue(due); due = due.Add(every) {
				mine = append(mine, callOnce(provider, due))
			}
			timer.Reset(time.Until(due))
		}
		requests[i] = mine
		return nil
	})
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

func summarize(all []request) tally {
	var t tally
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

func (t *tally) join(other tally) {
	t.count, t.slow, t.failed = t.count+other.count, t.slow+other.slow, t.failed+other.failed
	t.longest = max(t.longest, other.longest)
}

// report adds the figures of the tally to s.
func (t *tally) report(s *sheet, scene, contender string) {
	s.addCount(scene, contender, requests, t.count)
	s.addCount(scene, contender, failures, t.failed)
	s.addCount(scene, contender, overSlow, t.slow)
	s.addTime(scene, contender, longest, t.longest)
}

// percentile returns the maximum duration of the given share of the requests, which are sorted
// by duration.
func percentile(sorted []request, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)].took
}
