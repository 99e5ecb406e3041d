package irsa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

const (
	// maxHeader bounds the headers of a response. STS sends about 300 bytes.
	maxHeader = 64 << 10

	// idleTimeout is how long a connection stays open unused. A Provider needs one twice an
	// hour, a Pool with many roles all the time.
	idleTimeout = 30 * time.Second
)

// transport sends requests to STS over HTTP/1.1, so that each has a connection of its own. After
// a request failed, no request uses a connection that was opened before: what swallowed the one
// request, such as a proxy that lost its state, would swallow those on other connections too.
type transport struct {
	mu      sync.Mutex
	current *http.Transport
}

// newTransport returns a transport with the settings of base, of which it takes possession.
// Requests are sent over at most conns connections, if it is not 0.
func newTransport(base *http.Transport, conns int) *transport {
	base.Protocols = new(http.Protocols)
	base.Protocols.SetHTTP1(true)
	base.ForceAttemptHTTP2, base.TLSNextProto = false, nil
	if base.TLSClientConfig != nil { // a clone of a transport that was used offers HTTP/2
		base.TLSClientConfig.NextProtos = nil
	}
	base.MaxResponseHeaderBytes = maxHeader
	if base.IdleConnTimeout <= 0 || base.IdleConnTimeout > idleTimeout {
		base.IdleConnTimeout = idleTimeout
	}
	if conns > 0 { // so that none is closed for want of room and opened again
		base.MaxConnsPerHost, base.MaxIdleConnsPerHost = conns, conns
		base.MaxIdleConns = max(base.MaxIdleConns, conns)
	}
	if base.OnProxyConnectResponse == nil {
		base.OnProxyConnectResponse = checkProxy
	}
	return &transport{current: base}
}

// RoundTrip sends one request.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	used := t.http()
	response, err := used.RoundTrip(request)
	if err != nil {
		t.replace(used)
		return nil, err
	}
	response.Body = &transportBody{response.Body, func() { t.replace(used) }}
	return response, nil
}

// http returns the transport of the next request.
func (t *transport) http() *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}

// replace gives up the connections of failed, unless that has been done. Requests on them that
// are under way continue.
func (t *transport) replace(failed *http.Transport) {
	t.mu.Lock()
	if t.current == failed {
		t.current = failed.Clone()
	}
	t.mu.Unlock()
	failed.CloseIdleConnections() // and those that become idle, since no request is to come
}

// CloseIdleConnections closes the connections that no request uses.
func (t *transport) CloseIdleConnections() { t.http().CloseIdleConnections() }

// transportBody is a body that calls failed if it cannot be read.
type transportBody struct {
	io.ReadCloser
	failed func()
}

func (b *transportBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.failed()
	}
	return n, err
}

// newHTTPClient returns a client for STS with the settings of base, or of the SDK's client if it
// is nil.
func newHTTPClient(base *awshttp.BuildableClient, conns int) *http.Client {
	base = cmp.Or(base, awshttp.NewBuildableClient())
	return &http.Client{Transport: newTransport(base.GetTransport(), conns), CheckRedirect: useLastResponse, Timeout: base.GetTimeout()}
}

// useLastResponse follows no redirect: STS does not answer with one, and the token would travel
// along.
func useLastResponse(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// withoutRedirects returns a client with the settings of an application's that follows no
// redirect, or notices one.
func withoutRedirects(client aws.HTTPClient) aws.HTTPClient {
	if c, ok := client.(*http.Client); ok {
		own := *c
		own.CheckRedirect = useLastResponse
		return &own
	}
	return checkedClient{client}
}

// checkedClient is a client of an unknown type, which may follow redirects.
type checkedClient struct{ aws.HTTPClient }

var errRedirected = errors.New("the HTTP client followed a redirect, which STS does not send")

func (c checkedClient) Do(request *http.Request) (*http.Response, error) {
	asked := *request.URL
	response, err := c.HTTPClient.Do(request)
	if err == nil && response.Request != nil && response.Request.URL != nil && *response.Request.URL != asked {
		_ = response.Body.Close()
		return nil, errRedirected
	}
	return response, err
}

// checkProxy makes an error of the response of a proxy that does not let a request through:
// net/http's own does not say that the proxy sent it.
func checkProxy(_ context.Context, proxy *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode != http.StatusOK {
		return &proxyError{proxy.Host, response.Status}
	}
	return nil
}

// proxyError is the answer of a proxy that does not let a request through.
type proxyError struct{ host, status string }

func (e *proxyError) Error() string { return fmt.Sprintf("the proxy %s answered %s", e.host, e.status) }
