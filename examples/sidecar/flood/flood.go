// Package flood contains clients that try to block a server's other clients. They are used by the
// sidecar's tests and load program.
package flood

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// pace is the interval between the bytes sent by a slow client.
const pace = 200 * time.Millisecond

// Kind is a kind of client. Its behavior ends when the server closes the connection.
type Kind struct {
	Name   string
	behave func(c net.Conn, target string)
}

// Kinds returns all kinds of clients. None of them has the authorization token.
func Kinds() []Kind {
	return []Kind{
		{"silent", func(c net.Conn, _ string) { drain(c) }},
		{"slow header", func(c net.Conn, target string) { trickle(c, head(c, "GET", target)+"X-Slow: ") }},
		{"half a header", func(c net.Conn, target string) { exchange(c, head(c, "GET", target)) }},
		{"slow body", func(c net.Conn, target string) {
			trickle(c, head(c, "POST", target)+"Content-Length: 100000\r\n\r\n")
		}},
		{"missing body", func(c net.Conn, target string) { exchange(c, head(c, "GET", target)+"Content-Length: 10\r\n\r\n") }},
		{"large body", func(c net.Conn, target string) {
			exchange(c, head(c, "POST", target)+"Content-Length: 1000000\r\n\r\n"+strings.Repeat("x", 50_000))
		}},
		{"large header", func(c net.Conn, target string) {
			exchange(c, head(c, "GET", target)+"X: "+strings.Repeat("x", 32<<10)+"\r\n\r\n")
		}},
		{"many headers", func(c net.Conn, target string) {
			exchange(c, head(c, "GET", target)+strings.Repeat("x:\r\n", 1<<10)+"\r\n")
		}},
		{"OPTIONS *", func(c net.Conn, _ string) { repeat(c, head(c, "OPTIONS", "*")+"\r\n") }},
		{"no token", func(c net.Conn, target string) { repeat(c, head(c, "GET", target)+"\r\n") }},
		{"wrong token", func(c net.Conn, target string) { repeat(c, head(c, "GET", target)+wrongToken+"\r\n") }},
		{"keep-alive", func(c net.Conn, target string) {
			repeat(c, head(c, "HEAD", target)+wrongToken+"Connection: keep-alive\r\n\r\n")
		}},
		{"half-closed", func(c net.Conn, target string) { halfClose(c, head(c, "GET", target)+wrongToken+"\r\n") }},
		{"pipelined", func(c net.Conn, target string) {
			exchange(c, strings.Repeat(head(c, "GET", target)+wrongToken+"\r\n", 16))
		}},
		{"no reader", func(c net.Conn, target string) { ignore(c, head(c, "GET", target)+wrongToken+"\r\n") }},
		{"no HTTP", func(c net.Conn, _ string) { exchange(c, "no HTTP\r\n\r\n") }},
		{"TLS", func(c net.Conn, _ string) { _ = tls.Client(c, &tls.Config{ServerName: "localhost"}).Handshake() }},
		{"HTTP/2", func(c net.Conn, _ string) { exchange(c, http2Preface) }},
		{"readiness", func(c net.Conn, _ string) { repeat(c, head(c, "GET", "/readyz")+"\r\n") }},
		{"connects only", func(net.Conn, string) {}},
	}
}

const (
	wrongToken   = "Authorization: guessed-by-a-client\r\n"
	http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00" // with empty SETTINGS
)

// head returns the beginning of a request that passes the Host header check.
func head(c net.Conn, method, target string) string {
	return method + " " + target + " HTTP/1.1\r\nHost: " + c.RemoteAddr().String() + "\r\n"
}

// drain reads until the server closes the connection.
func drain(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// exchange sends text and reads until the server closes the connection.
func exchange(c net.Conn, text string) {
	if _, err := io.WriteString(c, text); err == nil {
		drain(c)
	}
}

// halfClose sends text, closes its side of the connection and then reads.
func halfClose(c net.Conn, text string) {
	_, err := io.WriteString(c, text)
	if tcp, ok := c.(*net.TCPConn); ok && err == nil && tcp.CloseWrite() == nil {
		drain(c)
	}
}

// trickle sends text and then one byte at a time.
func trickle(c net.Conn, text string) {
	for _, err := io.WriteString(c, text); err == nil; _, err = io.WriteString(c, "x") {
		time.Sleep(pace)
	}
}

// repeat sends requests sequentially over the same connection.
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

// ignore sends requests without reading the responses.
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

// Flood consists of clients of one kind that reconnect whenever the server closes their connection.
type Flood struct {
	kind            Kind
	interval        time.Duration
	address, target string
	connections     atomic.Int64
	clients         sync.WaitGroup
}

// Start starts clients that connect to address and request target until ctx is done. Each connects at
// most once per interval. If interval is 0, it reconnects immediately.
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
	for ctx.Err() == nil {
		next := time.After(f.interval)
		f.connect(ctx)
		select {
		case <-ctx.Done():
		case <-next:
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
