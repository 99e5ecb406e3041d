package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	crowd = 8                // callers
	pace  = time.Millisecond // of each
)

// callers ask for credentials as the clients of a busy service do.
type callers struct {
	credentials aws.CredentialsProvider

	mu    sync.Mutex
	sum   sight
	known map[string]bool // access key IDs
}

// sight is what callers have seen so far. It holds no secret.
type sight struct {
	calls       int
	served      int           // callers whose first call has returned
	firstWait   time.Duration // the longest of these first calls
	longestWait time.Duration // of all other calls
	different   int           // credentials
	key         string        // the end of the newest access key ID
	errors      int
	err         error // the first of them
}

// ask lets all callers ask until ctx ends.
func (c *callers) ask(ctx context.Context) {
	var crowded sync.WaitGroup
	for range crowd {
		crowded.Go(func() { c.askOn(ctx) })
	}
	crowded.Wait()
}

func (c *callers) askOn(ctx context.Context) {
	next := time.NewTicker(pace)
	defer next.Stop()
	for first := true; ; first = false {
		began := time.Now()
		creds, err := c.credentials.Retrieve(ctx)
		took := time.Since(began)
		if ctx.Err() != nil {
			return
		}
		if err == nil && creds.Expires.Before(began) {
			err = fmt.Errorf("the credentials expired %v before the call", began.Sub(creds.Expires))
		}
		c.note(first, took, creds.AccessKeyID, err)
		select {
		case <-next.C:
		case <-ctx.Done():
			return
		}
	}
}

// note adds what one call has seen.
func (c *callers) note(first bool, took time.Duration, keyID string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum.calls++
	if first {
		c.sum.served++
		c.sum.firstWait = max(c.sum.firstWait, took)
	} else {
		c.sum.longestWait = max(c.sum.longestWait, took)
	}
	if err != nil {
		c.sum.errors++
		if c.sum.err == nil {
			c.sum.err = err
		}
		return
	}
	if c.known == nil {
		c.known = map[string]bool{}
	}
	if !c.known[keyID] {
		c.known[keyID] = true
		c.sum.different++
		c.sum.key = "…" + keyID[max(0, len(keyID)-4):]
	}
}

func (c *callers) seen() sight {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sum
}

// complaint says which promise to callers was broken. One who waited for STS waited
// for its latency at least; a busy machine alone does not stop a call that long.
func (s sight) complaint() error {
	switch {
	case s.err != nil:
		return fmt.Errorf("a caller got an error: %w", s.err)
	case s.longestWait >= latency:
		return fmt.Errorf("a caller waited %v, as long as for STS", short(s.longestWait))
	default:
		return nil
	}
}
