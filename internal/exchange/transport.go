package exchange

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"github.com/irsakit/irsakit/internal/explain"
)

const (
	// maxHeader limits the size of a response's headers. STS sends about 300 bytes.
	maxHeader = 64 << 10

	// idleTimeout is how long an idle connection of a Pool stays open.
	idleTimeout = 30 * time.Second
)

// transport sends requests to STS over HTTP/1.1, so that concurrent requests do not share a
// connection. After a request fails or returns a 5xx status, existing connections to the same host are
// not reused. They could have the same problem, such as a proxy that lost its state or a failing
// server behind a load balancer.
type transport struct {
	base *http.Transport // used for the first host, and cloned for others

	mu    sync.Mutex
	used  bool                       // base is in use for a host
	hosts map[string]*http.Transport // keyed by host; removed when a request fails
}

// newTransport returns a transport with the settings of base, which the caller must not use afterward.
// It opens at most conns connections to each host and keeps them open. If conns is 0, each request
// uses its own connection. A Provider does so, because it makes only about two requests per hour, and
// net/http logs anything that a server sends on an idle connection, which can be the token or the new
// keys.
func newTransport(base *http.Transport, conns int) *transport {
	base.Protocols = new(http.Protocols)
	base.Protocols.SetHTTP1(true)
	base.ForceAttemptHTTP2, base.TLSNextProto = false, nil
	if base.TLSClientConfig != nil { // a clone of a used transport offers HTTP/2
		base.TLSClientConfig.NextProtos = nil
	}
	base.MaxResponseHeaderBytes = maxHeader
	limitConnections(base)
	if base.IdleConnTimeout <= 0 || base.IdleConnTimeout > idleTimeout {
		base.IdleConnTimeout = idleTimeout
	}
	if conns == 0 {
		base.DisableKeepAlives = true
	} else {
		base.MaxConnsPerHost, base.MaxIdleConnsPerHost = conns, conns
		base.MaxIdleConns = max(base.MaxIdleConns, conns)
	}
	if base.OnProxyConnectResponse == nil {
		base.OnProxyConnectResponse = checkProxy
	}
	return &transport{base: base, hosts: map[string]*http.Transport{}}
}

// RoundTrip sends one request.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if !t.base.DisableKeepAlives {
		var err error
		if request, err = repeatable(request); err != nil {
			return nil, err
		}
	}
	host := request.URL.Host
	inner := t.forHost(host)
	response, err := inner.RoundTrip(withDialDeadline(request))
	if err != nil {
		t.remove(host, inner)
		return nil, err
	}
	if response.StatusCode >= http.StatusInternalServerError { // a new connection may reach another server
		t.remove(host, inner)
	}
	response.Body = &transportBody{response.Body, func() { t.remove(host, inner) }}
	return response, nil
}

// repeatable returns a request that net/http retries on another connection if the server closes the
// first one before responding, which a server can do with an idle connection at any time. STS may
// therefore receive the request twice. Other HTTP clients do not get a repeatable request, because
// those that follow redirects would send its body to another server.
func repeatable(request *http.Request) (*http.Request, error) {
	if request.Body == nil || request.Body == http.NoBody {
		return request, nil
	}
	body, err := io.ReadAll(request.Body)
	_ = request.Body.Close()
	if err != nil {
		return nil, err
	}
	request = request.Clone(request.Context())
	request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	request.Body, _ = request.GetBody()
	request.Header["Idempotency-Key"] = nil // a header without values is not sent
	return request, nil
}

// forHost returns the transport for the next request to a host.
func (t *transport) forHost(host string) *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.hosts[host] != nil:
	case t.used:
		t.hosts[host] = t.base.Clone()
	default:
		t.hosts[host], t.used = t.base, true
	}
	return t.hosts[host]
}

// remove removes a transport whose request failed, so that its connections are not reused. Requests
// in progress continue.
func (t *transport) remove(host string, failed *http.Transport) {
	t.mu.Lock()
	if t.hosts[host] == failed {
		delete(t.hosts, host)
	}
	t.mu.Unlock()
	failed.CloseIdleConnections() // including connections that become idle later, because failed gets no more requests
}

// CloseIdleConnections closes connections that are not in use.
func (t *transport) CloseIdleConnections() {
	t.mu.Lock()
	hosts := slices.Collect(maps.Values(t.hosts))
	t.mu.Unlock()
	for _, inner := range hosts {
		inner.CloseIdleConnections()
	}
}

// transportBody is a response body that calls failed if a read fails.
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

// newHTTPClient returns an HTTP client for STS with the settings of base. If base is nil, it uses the
// settings of the SDK's default client.
func newHTTPClient(base *awshttp.BuildableClient, conns int) *http.Client {
	base = cmp.Or(base, awshttp.NewBuildableClient())
	return &http.Client{Transport: newTransport(base.GetTransport(), conns), CheckRedirect: useLastResponse, Timeout: base.GetTimeout()}
}

// DefaultHTTPClient returns an HTTP client with the default settings.
func DefaultHTTPClient() *http.Client { return newHTTPClient(nil, 0) }

// useLastResponse disables redirects. STS never sends one, and following it would send the token to
// another server.
func useLastResponse(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// withoutRedirects returns a copy of an *http.Client with redirects disabled. For the SDK's client, it
// returns the library's with the same settings. It wraps any other client so that following a redirect
// is an error.
func withoutRedirects(client aws.HTTPClient) aws.HTTPClient {
	switch c := client.(type) {
	case *http.Client:
		own := *c
		own.CheckRedirect = useLastResponse
		return &own
	case *awshttp.BuildableClient:
		return newHTTPClient(c, 0)
	default:
		return redirectChecker{client}
	}
}

// ClientError removes data from the server from an HTTP client's error. net/http quotes what it cannot
// parse, which can be the new keys. ClientError also replaces a proxy address, which can contain a
// password.
func ClientError(err error) error {
	if request, ok := err.(*url.Error); ok { //nolint:errorlint // the text of a wrapped one is part of the wrapper's
		if cause := ClientError(request.Err); cause.Error() != request.Err.Error() { // errors of some types cannot be compared
			return &url.Error{Op: request.Op, URL: request.URL, Err: cause}
		}
		return err
	}
	local := isError[*net.OpError](err) || isError[*net.DNSError](err) || isError[*tls.CertificateVerificationError](err)
	switch text, _, quoted := strings.Cut(err.Error(), `"`); {
	case local:
		return err
	case isError[textproto.ProtocolError](err):
		return errNotHTTP
	case strings.Contains(text, "invalid proxy address"):
		return explain.ErrProxyAddress
	case quoted:
		return redactError(err, func(string) string { return strings.TrimSpace(text) })
	default:
		return err
	}
}

// isError reports whether the tree of err contains an error of type T.
func isError[T error](err error) bool {
	var e T
	return errors.As(err, &e)
}

// redirectChecker wraps a client of an unknown type. It returns an error if the client followed a
// redirect.
type redirectChecker struct{ aws.HTTPClient }

var (
	errRedirected = errors.New("the HTTP client followed a redirect, which STS does not send")
	errNoResponse = errors.New("the HTTP client returned neither a response nor an error")
	errNoStatus   = fmt.Errorf("the response has no valid status: %w", explain.ErrNotSTS)
	errNotHTTP    = fmt.Errorf("the response has a malformed header: %w", explain.ErrNotSTS)
)

func (c redirectChecker) Do(request *http.Request) (*http.Response, error) {
	requested := *request.URL
	response, err := c.HTTPClient.Do(request)
	if err == nil && response == nil {
		return nil, errNoResponse
	}
	if err == nil && response.Request != nil && response.Request.URL != nil && *response.Request.URL != requested {
		_ = Body(response).Close()
		return nil, errRedirected
	}
	return response, err
}

// Proxied reports whether client uses a proxy for the target URL.
func Proxied(client aws.HTTPClient, target string) bool {
	u, err := url.Parse(target)
	return err == nil && proxyOf(client, u) != nil
}

// proxyOf returns the URL of the proxy that client uses for u, or nil if it uses none or is of an
// unknown type.
func proxyOf(client aws.HTTPClient, u *url.URL) (proxy *url.URL) {
	defer func() { _ = recover() }() // the transport's Proxy can be an application function
	c, ok := client.(*http.Client)
	if !ok {
		return nil
	}
	var t *http.Transport
	switch inner := cmp.Or(c.Transport, http.DefaultTransport).(type) {
	case *transport:
		t = inner.base
	case *http.Transport:
		t = inner
	}
	if t == nil || t.Proxy == nil {
		return nil
	}
	proxy, err := t.Proxy(&http.Request{Method: http.MethodPost, URL: u, Host: u.Host, Header: http.Header{}})
	if err != nil {
		return nil
	}
	return proxy
}

// checkProxy returns an error if a proxy rejects a CONNECT request. Unlike net/http's error, it names
// the proxy but omits its reason phrase, which can contain anything.
func checkProxy(_ context.Context, proxy *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode != http.StatusOK {
		return &explain.ProxyError{Host: proxy.Host, Status: statusText(response.StatusCode)}
	}
	return nil
}

// statusText returns an HTTP status with its standard reason phrase, if there is one.
func statusText(code int) string {
	return strings.TrimSpace(strconv.Itoa(code) + " " + http.StatusText(code))
}
