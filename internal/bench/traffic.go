package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// traffic is what a contender sends to STS.
type traffic struct {
	connections counter

	mu            sync.Mutex
	calls         []time.Time // when each began
	running, peak int
	before        func(call time.Time) // runs before the next call goes on, once
}

// counter counts.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// client returns one with connections of its own, whose calls are counted.
func (t *traffic) client(transport *http.Transport) *http.Client {
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		t.connections.add()
		return dial(ctx, network, address)
	}
	return &http.Client{Transport: &counted{transport, t}}
}

// counted counts the calls of a transport.
type counted struct {
	*http.Transport
	traffic *traffic
}

// RoundTrip counts the call.
func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	defer c.traffic.begin()()
	return c.Transport.RoundTrip(r)
}

// begin is a call that begins; what it returns ends it.
func (t *traffic) begin() func() {
	t.mu.Lock()
	before := t.before
	t.before = nil
	now := time.Now()
	t.calls = append(t.calls, now)
	t.running++
	t.peak = max(t.peak, t.running)
	t.mu.Unlock()
	if before != nil {
		before(now)
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.running--
	}
}

// beforeNext lets fn run before the next call, which waits for it.
func (t *traffic) beforeNext(fn func(call time.Time)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.before = fn
}

// between returns how many calls began from one moment until before another.
func (t *traffic) between(from, to time.Time) int {
	n := 0
	for _, call := range t.list() {
		if !call.Before(from) && call.Before(to) {
			n++
		}
	}
	return n
}

// list returns when the calls so far began.
func (t *traffic) list() []time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls[:len(t.calls):len(t.calls)]
}

// takePeak returns the most calls at the same time since it was last taken.
func (t *traffic) takePeak() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	peak := t.peak
	t.peak = 0
	return peak
}
