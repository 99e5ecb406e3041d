package main

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// result is what a contender costs.
type result struct {
	firstLoad              time.Duration // of all roles at the same time
	heap                   int64         // bytes for each role, when all are loaded
	goroutines             int           // between refreshes
	calls, connections     int64         // of STS, all of them
	peakCalls              int64         // at the same time, after the first load
	requests, slow, failed int64         // after the first load; slower than 10 ms
	longest                time.Duration
	cpu                    time.Duration
}

const workers = 64

func measure(ctx context.Context, p plan, s *server, c contender) (result, error) {
	var r result
	var t traffic
	before := heapInUse()
	begin := cpuTime()
	hold, release, err := c.hold(s.setup, &t)
	if err != nil {
		return r, err
	}
	defer release()
	providers := make([]aws.CredentialsProvider, len(s.ARNs))
	for i, arn := range s.ARNs {
		if providers[i], err = hold(arn); err != nil {
			return r, err
		}
	}
	if r.firstLoad, err = load(ctx, providers); err != nil {
		return r, err
	}
	time.Sleep(2 * time.Second) // until what it took has gone
	r.heap = max(int64(heapInUse())-int64(before), 0) / int64(len(providers))
	r.goroutines = runtime.NumGoroutine()
	t.takePeak()
	askAll(ctx, p, providers, &r)
	r.cpu = cpuTime() - begin
	r.calls, r.connections, r.peakCalls = t.calls.Load(), t.connections.Load(), t.takePeak()
	runtime.KeepAlive(providers)
	return r, ctx.Err()
}

// load gets the first credentials of all roles at the same time.
func load(ctx context.Context, providers []aws.CredentialsProvider) (time.Duration, error) {
	begin := time.Now()
	var all sync.WaitGroup
	var failure atomic.Pointer[error]
	for _, provider := range providers {
		all.Go(func() {
			if _, err := provider.Retrieve(ctx); err != nil {
				failure.Store(&err)
			}
		})
	}
	all.Wait()
	if err := failure.Load(); err != nil {
		return 0, *err
	}
	return time.Since(begin), nil
}

// askAll asks each provider once a second.
func askAll(ctx context.Context, p plan, providers []aws.CredentialsProvider, r *result) {
	var all sync.WaitGroup
	var mu sync.Mutex
	end := time.Now().Add(p.run)
	for w := range workers {
		all.Go(func() {
			var mine result
			for time.Now().Before(end) && ctx.Err() == nil {
				round := time.Now()
				for i := w; i < len(providers); i += workers {
					start := time.Now()
					_, err := providers[i].Retrieve(ctx)
					mine.count(time.Since(start), err)
				}
				time.Sleep(time.Until(round.Add(time.Second)))
			}
			mu.Lock()
			defer mu.Unlock()
			r.requests, r.slow, r.failed = r.requests+mine.requests, r.slow+mine.slow, r.failed+mine.failed
			r.longest = max(r.longest, mine.longest)
		})
	}
	all.Wait()
}

func (r *result) count(took time.Duration, err error) {
	r.requests++
	r.longest = max(r.longest, took)
	if took > 10*time.Millisecond {
		r.slow++
	}
	if err != nil {
		r.failed++
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
