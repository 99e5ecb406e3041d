package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

const (
	numCallers = 10
	interval   = 10 * time.Millisecond // between a caller's requests
	deadline   = time.Second           // a request without credentials fails after this long
	longWait   = 50 * time.Millisecond
)

// callers are the callers in one pod. Like the clients of a busy service, they need credentials for
// every request.
type callers struct {
	name        string
	pod         *irsatest.Pod
	credentials aws.CredentialsProvider
	total       stats  // until the last call of take
	printed     string // the access key printed last

	mu   sync.Mutex
	step stats              // since the last call of take
	keys [numCallers]string // the access key of each caller
}

// stats describes requests.
type stats struct {
	requests, failed int
	waits            int // longer than longWait
	longest          time.Duration
}

func (s stats) String() string {
	return fmt.Sprintf("%d failed, %d waited, longest wait %s", s.failed, s.waits, rounded(s.longest))
}

// run makes requests with all callers until ctx is done.
func (c *callers) run(ctx context.Context) {
	var wg sync.WaitGroup
	for i := range numCallers {
		wg.Go(func() { c.runCaller(ctx, i) })
	}
	wg.Wait()
}

func (c *callers) runCaller(ctx context.Context, i int) {
	next := time.NewTicker(interval)
	defer next.Stop()
	for ctx.Err() == nil {
		start := time.Now()
		request, cancel := context.WithTimeout(ctx, deadline)
		credentials, err := c.credentials.Retrieve(request)
		cancel()
		if ctx.Err() != nil {
			return
		}
		c.record(i, time.Since(start), credentials.AccessKeyID, err == nil && credentials.Expires.After(start))
		select {
		case <-next.C:
		case <-ctx.Done():
		}
	}
}

// record adds a request by caller i to the stats.
func (c *callers) record(i int, took time.Duration, key string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step.requests++
	c.step.longest = max(c.step.longest, took)
	if took > longWait {
		c.step.waits++
	}
	if ok {
		c.keys[i] = key
	} else {
		c.step.failed++
	}
}

// observed returns the stats since the last call of take, and the access key if all callers have the
// same one.
func (c *callers) observed() (step stats, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(c.keys[:], func(key string) bool { return key != c.keys[0] }) {
		return c.step, ""
	}
	return c.step, c.keys[0]
}

// take returns the stats since its last call and adds them to the total.
func (c *callers) take() stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.step
	c.step = stats{}
	c.total.requests += s.requests
	c.total.failed += s.failed
	c.total.waits += s.waits
	c.total.longest = max(c.total.longest, s.longest)
	return s
}
