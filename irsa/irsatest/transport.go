package irsatest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing/iotest"
)

// memoryTransport calls the kit's handlers directly, in the goroutine that calls RoundTrip. If a
// handler waits, it stops waiting when the request's context is done.
type memoryTransport struct{ cluster *Cluster }

// RoundTrip returns the response to req, or a network-like error.
func (m memoryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if req.Body != nil {
		defer func() { _ = req.Body.Close() }()
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	host := req.URL.Hostname()
	r := incoming(req)
	var handler http.HandlerFunc
	switch {
	case m.cluster.hasIssuerAt(req.URL.Host):
		handler = m.cluster.handleIssuers
	default:
		if _, ok := m.cluster.stsRegion(host); !ok {
			return nil, noSuchHost(host)
		}
		handler = m.cluster.STS.handle
	}
	rec := recorder{header: http.Header{}}
	rec.run(handler, r)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return rec.response(req)
}

// incoming converts a client request to the request received by a server.
func incoming(req *http.Request) *http.Request {
	r := req.Clone(req.Context())
	r.Host = cmp.Or(req.Host, req.URL.Host)
	r.RequestURI = req.URL.RequestURI()
	r.RemoteAddr = "192.0.2.2:32768"
	if r.Body == nil {
		r.Body = http.NoBody
	}
	return r
}

// noSuchHost returns the error of net.Dial for a nonexistent host.
func noSuchHost(host string) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
}

// connectionError returns the error of a failed TCP connection to the STS. As in AWS, the STS host
// has several addresses, and each connection uses a different port.
func connectionError(op, call string, errno syscall.Errno) error {
	random := randomBytes(3)
	e := &net.OpError{
		Op: op, Net: "tcp",
		Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, random[0]), Port: 443},
		Err:  os.NewSyscallError(call, errno),
	}
	if op != "dial" { // the connection is already open
		e.Source = &net.TCPAddr{IP: net.IPv4(198, 51, 100, 7), Port: 32768 + int(random[1])<<6 + int(random[2])>>2}
	}
	return e
}

// A recorder is a ResponseWriter that records a handler's response.
type recorder struct {
	header  http.Header
	sent    http.Header // copy of header when WriteHeader was called
	status  int
	body    bytes.Buffer
	aborted bool
	refused bool
}

func (rec *recorder) Header() http.Header { return rec.header }

func (rec *recorder) WriteHeader(status int) {
	if rec.sent == nil {
		rec.status, rec.sent = status, rec.header.Clone()
	}
}

func (rec *recorder) Write(b []byte) (int, error) {
	rec.WriteHeader(http.StatusOK)
	return rec.body.Write(b)
}

func (rec *recorder) run(handler http.HandlerFunc, r *http.Request) {
	defer func() {
		switch reason := recover(); reason {
		case nil:
		case http.ErrAbortHandler:
			rec.aborted = true
		case errConnRefused:
			rec.refused = true
		default:
			panic(reason)
		}
	}()
	handler(rec, r)
	rec.WriteHeader(http.StatusOK)
}

// response returns the client's response. If the handler aborted, its body ends with
// io.ErrUnexpectedEOF.
func (rec *recorder) response(req *http.Request) (*http.Response, error) {
	if rec.refused {
		return nil, connectionError("dial", "connect", syscall.ECONNREFUSED)
	}
	if rec.sent == nil {
		return nil, connectionError("read", "read", syscall.ECONNRESET)
	}
	maps.DeleteFunc(rec.sent, func(_ string, values []string) bool { return values == nil })
	res := &http.Response{
		Status:     fmt.Sprintf("%d %s", rec.status, http.StatusText(rec.status)),
		StatusCode: rec.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        rec.sent,
		Body:          io.NopCloser(&rec.body),
		ContentLength: -1,
		Request:       req,
	}
	if n, err := strconv.ParseInt(rec.sent.Get("Content-Length"), 10, 64); err == nil {
		res.ContentLength = n
	}
	if rec.aborted {
		res.Body = io.NopCloser(io.MultiReader(&rec.body, iotest.ErrReader(io.ErrUnexpectedEOF)))
	}
	return res, nil
}

// reset aborts a handler by resetting the connection. In memory, response turns the abort into a
// reset.
func reset(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		if tcp, ok := connection.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // send RST instead of FIN
		}
		_ = connection.Close()
	}
	panic(http.ErrAbortHandler)
}

// loopbackTransport returns a transport that reaches only the given addresses.
func loopbackTransport(addrs ...string) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if !slices.Contains(addrs, addr) {
				host, _, _ := net.SplitHostPort(addr)
				return nil, noSuchHost(host)
			}
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	}
}
