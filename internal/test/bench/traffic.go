package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// traffic records the calls of a contender to STS.
type traffic struct {
	mu            sync.Mutex
	connections   int
	calls         []time.Time // the start of each call
	running, peak int
	before        func(call time.Time) // runs once, before the next call continues
}

// client returns an HTTP client that uses the transport. t counts its calls and connections.
func (t *traffic) client(transport *http.Transport) *http.Client {
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		t.mu.Lock()
		t.connections++
		t.mu.Unlock()
		return dial(ctx, network, address)
	}
	return &http.Client{Transport: &counted{transport, t}}
}

// counted is a transport whose calls are counted.
type counted struct {
	*http.Transport
	traffic *traffic
}

// RoundTrip counts the call.
func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	defer c.traffic.begin()()
	return c.Transport.RoundTrip(r)
}

// begin records the start of a call. The function that it returns records the end.
func (t *traffic) begin() (end func()) {
	t.mu.Lock()
	before, now := t.before, time.Now()
	t.before = nil
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

// beforeNext makes fn run before the next call, which waits for fn to return.
func (t *traffic) beforeNext(fn func(call time.Time)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.before = fn
}

// list returns the start times of the calls so far.
func (t *traffic) list() []time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls[:len(t.calls):len(t.calls)]
}

// takePeak returns the maximum number of concurrent calls since the last takePeak.
func (t *traffic) takePeak() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	peak := t.peak
	t.peak = 0
	return peak
}
