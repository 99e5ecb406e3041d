// Package flood contains clients that try to keep a server from its other clients. They are
// for the tests and the load program of the sidecar.
package flood

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// pace is the time between the bytes of a slow client.
const pace = 200 * time.Millisecond

// Kind is a kind of client. Its behavior ends when the server closes the connection.
type Kind struct {
	Name   string
	behave func(c net.Conn, target string)
}

// Kinds returns all kinds of clients. None of them has the authorization token.
func Kinds() []Kind {
	const end = " HTTP/1.1\r\nHost: localhost\r\n"
	return []Kind{
		{"silent", func(c net.Conn, _ string) { drain(c) }},
		{"slow header", func(c net.Conn, target string) { trickle(c, "GET "+target+end+"X-Slow: ") }},
		{"half a header", func(c net.Conn, target string) { exchange(c, "GET "+target+end) }},
		{"slow body", func(c net.Conn, target string) { trickle(c, "POST "+target+end+"Content-Length: 100000\r\n\r\n") }},
		{"missing body", func(c net.Conn, target string) { exchange(c, "GET "+target+end+"Content-Length: 10\r\n\r\n") }},
		{"large header", func(c net.Conn, target string) {
			exchange(c, "GET "+target+end+"X: "+strings.Repeat("x", 32<<10)+"\r\n\r\n")
		}},
		{"OPTIONS *", func(c net.Conn, _ string) { repeat(c, "OPTIONS *"+end+"\r\n") }},
		{"no token", func(c net.Conn, target string) { repeat(c, "GET "+target+end+"\r\n") }},
		{"wrong token", func(c net.Conn, target string) { repeat(c, "GET "+target+end+"Authorization: guessed\r\n\r\n") }},
		{"keep-alive", func(c net.Conn, target string) {
			repeat(c, "HEAD "+target+end+"Connection: keep-alive\r\nAuthorization: guessed\r\n\r\n")
		}},
		{"no HTTP", func(c net.Conn, _ string) { exchange(c, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n") }},
		{"pipelined", func(c net.Conn, target string) { exchange(c, strings.Repeat("GET "+target+end+"\r\n", 100)) }},
		{"no reader", func(c net.Conn, target string) { ignore(c, "GET "+target+end+"\r\n") }},
		{"readiness", func(c net.Conn, _ string) { repeat(c, "GET /readyz"+end+"\r\n") }},
		{"connects only", func(net.Conn, string) {}},
	}
}

// drain reads until the server closes the connection.
func drain(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// exchange sends text and reads until the server closes the connection.
func exchange(c net.Conn, text string) {
	if _, err := io.WriteString(c, text); err == nil {
		drain(c)
	}
}

// trickle sends text and then single bytes.
func trickle(c net.Conn, text string) {
	for _, err := io.WriteString(c, text); err == nil; _, err = io.WriteString(c, "x") {
		time.Sleep(pace)
	}
}

// repeat sends requests over the same connection, one after the other.
func repeat(c net.Conn, request string) {
	responses := bufio.NewReader(c)
	for {
		if _, err := io.WriteString(c, request); err != nil {
			return
		}
		response, err := http.ReadResponse(responses, nil)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
}

// ignore sends requests and reads no response.
func ignore(c net.Conn, request string) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(1)
	}
	for {
		if _, err := io.WriteString(c, request); err != nil {
			return
		}
		time.Sleep(pace)
	}
}

// Flood consists of clients of one kind that connect again whenever the server closes their
// connection.
type Flood struct {
	kind            Kind
	interval        time.Duration
	address, target string
	connections     atomic.Int64
	clients         sync.WaitGroup
}

// Start starts clients that connect to address and request target until ctx is done. Each
// connects at most once per interval.
func Start(ctx context.Context, kind Kind, clients int, interval time.Duration, address, target string) *Flood {
	f := &Flood{kind: kind, interval: interval, address: address, target: target}
	for range clients {
		f.clients.Go(func() { f.run(ctx) })
	}
	return f
}

// Connections returns how many connections the clients have made.
func (f *Flood) Connections() int64 { return f.connections.Load() }

// Wait waits until all clients have ended.
func (f *Flood) Wait() { f.clients.Wait() }

func (f *Flood) run(ctx context.Context) {
	tick := time.NewTicker(f.interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		f.connect(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (f *Flood) connect(ctx context.Context) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", f.address)
	if err != nil {
		return
	}
	f.connections.Add(1)
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // closes without TIME_WAIT, which would use up the ports
	}
	f.kind.behave(c, f.target)
	_ = c.Close()
}
