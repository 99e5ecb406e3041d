package irsa

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A probe is one plain request to STS, without token and signature, of which it is
// known how far it came.
type probe struct {
	mu      sync.Mutex // the transport traces from goroutines of its own
	ended   bool
	lookup  step
	connect step
	shake   step
	host    string // that was looked up
	address string // that was connected to
	reused  bool   // an open connection, so that there are no steps

	limit          time.Duration // of the whole request
	sent, received time.Time
	status         int
	date           time.Time // zero where the answer has none
	fromSTS        bool
	err            error
}

// A step is a part of a request.
type step struct{ begun, done bool }

// ask makes the request. That it has no signature STS says itself, and what says
// something else is not STS.
func ask(ctx context.Context, client aws.HTTPClient, endpoint string) *probe {
	p := &probe{}
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
		p.err = err
		if failed := (*url.Error)(nil); errors.As(err, &failed) {
			p.err = failed.Err // without the request
		}
		return p
	}
	defer func() { _ = response.Body.Close() }()
	p.status = response.StatusCode
	p.date, _ = http.ParseTime(response.Header.Get("Date"))
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	p.err = err
	p.fromSTS = strings.Contains(string(body), "https://sts.amazonaws.com/doc/")
	return p
}

// end ends the tracing, since a connection that comes too late is traced too. From then on p
// does not change, and can be read without the lock.
func (p *probe) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
}

func (p *probe) trace() *httptrace.ClientTrace {
	locked := func(f func()) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.ended {
			f()
		}
	}
	return &httptrace.ClientTrace{
		GetConn: func(string) { // of a redirect too: the steps are those of the last request
			locked(func() { p.lookup, p.connect, p.shake, p.reused = step{}, step{}, step{}, false })
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
		ConnectDone: func(_, address string, err error) { // of several addresses one is enough
			locked(func() {
				if !p.connect.done {
					p.address, p.connect.done = address, err == nil
				}
			})
		},
		TLSHandshakeStart: func() { locked(func() { p.shake.begun = true }) },
		TLSHandshakeDone:  func(_ tls.ConnectionState, err error) { locked(func() { p.shake.done = err == nil }) },
		GotConn:           func(i httptrace.GotConnInfo) { locked(func() { p.reused = i.Reused }) },
	}
}

// traced says whether the client told of its steps.
func (p *probe) traced() bool { return p.lookup.begun || p.connect.begun || p.reused }

// skew is by how much at least the local clock is ahead of STS's, negative if it is
// behind: the Date header has whole seconds, and the request took a while.
func (p *probe) skew() time.Duration {
	if slowest := p.sent.Sub(p.date) - time.Second; slowest > 0 {
		return slowest
	}
	return min(p.received.Sub(p.date), 0)
}
