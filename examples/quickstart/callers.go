package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	numCallers   = 8
	callInterval = time.Millisecond // between the calls of one caller
)

// callers retrieves credentials concurrently, as the clients of a busy service do.
type callers struct {
	credentials aws.CredentialsProvider

	mu    sync.Mutex
	total stats
	seen  map[string]bool // access key IDs
}

// stats contains what callers have observed so far. It contains no secrets.
type stats struct {
	calls       int
	served      int           // callers whose first call has returned
	firstWait   time.Duration // the longest of these first calls
	longestWait time.Duration // the longest of all other calls
	distinct    int           // distinct credentials
	key         string        // the end of the newest access key ID
	errors      int
	err         error // the first error
}

// run retrieves credentials with all callers until ctx is done.
func (c *callers) run(ctx context.Context) {
	var wg sync.WaitGroup
	for range numCallers {
		wg.Go(func() { c.runCaller(ctx) })
	}
	wg.Wait()
}

func (c *callers) runCaller(ctx context.Context) {
	next := time.NewTicker(callInterval)
	defer next.Stop()
	for first := true; ; first = false {
		start := time.Now()
		creds, err := c.credentials.Retrieve(ctx)
		took := time.Since(start)
		if ctx.Err() != nil {
			return
		}
		if err == nil && creds.Expires.Before(start) {
			err = fmt.Errorf("the credentials expired %v before the call", start.Sub(creds.Expires))
		}
		c.record(first, took, creds.AccessKeyID, err)
		select {
		case <-next.C:
		case <-ctx.Done():
			return
		}
	}
}

// record adds the result of one call.
func (c *callers) record(first bool, took time.Duration, keyID string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total.calls++
	if first {
		c.total.served++
		c.total.firstWait = max(c.total.firstWait, took)
	} else {
		c.total.longestWait = max(c.total.longestWait, took)
	}
	if err != nil {
		c.total.errors++
		if c.total.err == nil {
			c.total.err = err
		}
		return
	}
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	if !c.seen[keyID] {
		c.seen[keyID] = true
		c.total.distinct++
		c.total.key = "…" + keyID[max(0, len(keyID)-4):]
	}
}

func (c *callers) stats() stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// check returns an error if a caller got an error or waited for STS. A call that waits for
// STS takes at least its latency; a busy machine alone does not delay a call that long.
func (s stats) check() error {
	switch {
	case s.err != nil:
		return fmt.Errorf("a caller got an error: %w", s.err)
	case s.longestWait >= latency:
		return fmt.Errorf("a caller waited %v, as long as for STS", rounded(s.longestWait))
	default:
		return nil
	}
}
