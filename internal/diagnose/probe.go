package diagnose

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/exchange"
)

// probe is a traced request to STS without a token or signature. The trace shows which steps of the
// request completed.
type probe struct {
	mu        sync.Mutex // the transport calls the trace hooks from its own goroutines
	stopped   bool
	lookup    step
	connect   step
	handshake step
	host      string // the looked-up host
	address   string // the address of the connection
	reused    bool   // the connection was already open, so there are no steps

	limit          time.Duration // the timeout of the request
	sent, received time.Time
	status         int
	date           time.Time // zero if the response has no Date header of STS
	hasDate        bool      // the response has any Date header
	fromSTS        bool
	err            error
}

// step is a step of a request, such as the TLS handshake.
type step struct{ begun, done bool }

// sendProbe sends the request. STS responds with an error document, because the signature is
// missing. A response without the XML namespace of that document is not from STS.
func sendProbe(ctx context.Context, client aws.HTTPClient, endpoint string) (p *probe) {
	p = &probe{}
	defer func() {
		if r := recover(); r != nil { // in the application's client
			p.err = fmt.Errorf("the HTTP client panicked: %v", r)
		}
		p.err = exchange.RedactTokens(p.err) // a client or a server can repeat the token of an earlier request
	}()
	target := strings.TrimSuffix(endpoint, "/") + "/?" + url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}}.Encode()
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, p.trace()), http.MethodGet, target, nil)
	if err != nil {
		p.err = err
		return p
	}
	p.sent = time.Now()
	response, err := client.Do(request)
	p.received = time.Now()
	if err != nil {
		if failed := (*url.Error)(nil); errors.As(err, &failed) {
			err = failed.Err // without the method and the URL
		}
		p.err = exchange.ClientError(err)
		return p
	}
	response.Body = exchange.Body(response)
	defer func() { _ = response.Body.Close() }()
	p.status = response.StatusCode
	p.date, p.hasDate = exchange.DateOf(response.Header), response.Header.Get("Date") != ""
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		p.err = exchange.ClientError(err)
	}
	p.fromSTS = strings.Contains(string(body), "https://sts.amazonaws.com/doc/")
	return p
}

// stopTrace stops recording trace events, because the transport can also send them after the request
// has completed. Afterward, p no longer changes and can be read without the lock.
func (p *probe) stopTrace() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
}

func (p *probe) trace() *httptrace.ClientTrace {
	locked := func(f func()) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.stopped {
			f()
		}
	}
	return &httptrace.ClientTrace{
		GetConn: func(string) { // also called for a redirect: keep only the steps of the last request
			locked(func() { p.lookup, p.connect, p.handshake, p.reused = step{}, step{}, step{}, false })
		},
		DNSStart: func(i httptrace.DNSStartInfo) { locked(func() { p.host, p.lookup.begun = i.Host, true }) },
		DNSDone:  func(i httptrace.DNSDoneInfo) { locked(func() { p.lookup.done = i.Err == nil }) },
		ConnectStart: func(_, address string) {
			locked(func() {
				p.connect.begun = true
				if !p.connect.done {
					p.address = address
				}
			})
		},
		ConnectDone: func(_, address string, err error) { // called for each address, of which one must succeed
			locked(func() {
				if !p.connect.done {
					p.address, p.connect.done = address, err == nil
				}
			})
		},
		TLSHandshakeStart: func() { locked(func() { p.handshake.begun = true }) },
		TLSHandshakeDone:  func(_ tls.ConnectionState, err error) { locked(func() { p.handshake.done = err == nil }) },
		GotConn:           func(i httptrace.GotConnInfo) { locked(func() { p.reused = i.Reused }) },
	}
}

// traced reports whether the client called the trace hooks.
func (p *probe) traced() bool { return p.lookup.begun || p.connect.begun || p.reused }

// skew returns the minimum difference between the local clock and STS's, positive if the local clock
// is ahead. It allows for the Date header being rounded to seconds and for the duration of the
// request.
func (p *probe) skew() time.Duration {
	if slowest := p.sent.Sub(p.date) - time.Second; slowest > 0 {
		return slowest
	}
	return min(p.received.Sub(p.date), 0)
}
