package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/sys/unix"
)

// A request is one call of Retrieve.
type request struct {
	due    time.Time     // the planned time of the call, even if the caller was late
	took   time.Duration // the time since due, so that a late caller hides no delay
	failed bool
}

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

// report adds the figures of the tally to s.
func (t *tally) report(s *sheet, scene, contender string) {
	s.addCount(scene, contender, requests, t.count)
	s.addCount(scene, contender, failures, t.failed)
	s.addCount(scene, contender, overSlow, t.slow)
	s.addTime(scene, contender, longest, t.longest)
}

// realTime keeps other processes and the garbage collector from delaying the callers in this
// process: its threads get a real-time priority, because Linux may otherwise run other threads for
// 4 ms first, and the garbage collector is off. Only root can set the priority. The function
// restore undoes both.
func realTime() (restore func()) {
	percent := debug.SetGCPercent(-1)
	if err := schedule(unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: 1}); err != nil {
		fmt.Fprintf(os.Stderr, "no real-time priority, so the machine affects the far percentiles: %v\n", err)
	}
	return func() {
		_ = schedule(unix.SchedAttr{Policy: unix.SCHED_NORMAL}) // allowed for all processes
		debug.SetGCPercent(percent)
	}
}

// afterOthers makes this process run only while no other process is ready. A process that
// becomes ready preempts it at once.
func afterOthers() error {
	return schedule(unix.SchedAttr{Policy: unix.SCHED_IDLE})
}

// schedule sets the scheduling attributes of all threads. New threads inherit them.
func schedule(how unix.SchedAttr) error {
	how.Size = unix.SizeofSchedAttr
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetAttr(id, &how, 0); err != nil {
			return fmt.Errorf("thread %d: %w", id, err)
		}
	}
	return nil
}
