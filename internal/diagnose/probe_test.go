package diagnose

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/exchange"
	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/internal/test/testenv"
)

// TestMain runs the tests without the settings of the machine.
func TestMain(m *testing.M) {
	testenv.Clear()
	os.Exit(m.Run())
}

// selfSigned returns a certificate for names that expires at until.
func selfSigned(t *testing.T, until time.Time, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if len(names) > 0 {
		template.IPAddresses = nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// newClient returns the HTTP client of an exchange with modified settings.
func newClient(t *testing.T, change func(*http.Transport)) aws.HTTPClient {
	c := exchange.NewClient(&config.Config{Shared: &config.Shared{HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(transport *http.Transport) {
		if change != nil {
			change(transport)
		}
	})}}, 0)
	t.Cleanup(c.CloseIdleConnections)
	return c.HTTP()
}

// askThrough sends a probe to target using the HTTP client of an exchange.
func askThrough(t *testing.T, limit time.Duration, target string, change func(*http.Transport)) (*probe, aws.HTTPClient) {
	t.Helper()
	client := newClient(t, change)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return sendProbe(ctx, client, target), client
}

func TestProbeFailureLinksToHeading(t *testing.T) {
	secure := func(config *tls.Config) string {
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.TLS = config
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		t.Cleanup(server.Close)
		return server.URL
	}
	trusting := func(c tls.Certificate) func(*http.Transport) {
		return func(transport *http.Transport) {
			leaf, err := x509.ParseCertificate(c.Certificate[0])
			require.NoError(t, err)
			transport.TLSClientConfig.RootCAs = x509.NewCertPool()
			transport.TLSClientConfig.RootCAs.AddCert(leaf)
		}
	}
	plainServer := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plainServer.Close)
	good := selfSigned(t, time.Now().Add(time.Hour))
	expired := selfSigned(t, time.Now().Add(-time.Hour))
	named := selfSigned(t, time.Now().Add(time.Hour), "other.example")
	for _, tt := range []struct {
		name    string
		target  string
		change  func(*http.Transport)
		heading explain.Heading
		check   string // the check that fails in the report
	}{
		{"an unknown authority", secure(&tls.Config{Certificates: []tls.Certificate{good}}), nil, explain.HeadingTLS, nameTLS},
		{"expired certificate", secure(&tls.Config{Certificates: []tls.Certificate{expired}}), trusting(expired), explain.HeadingClock, nameTLS},
		{"another server's certificate", secure(&tls.Config{Certificates: []tls.Certificate{named}}), trusting(named), explain.HeadingTLS, nameTLS},
		{"server requires a client certificate", secure(&tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}), trusting(good), explain.HeadingTLS, nameTLS},
		{"a server without TLS", strings.Replace(plainServer.URL, "http://", "https://", 1), nil, explain.HeadingTLS, nameTLS},
		{"a closed port", "https://127.0.0.1:1", nil, explain.HeadingConnection, nameConnection},
		{"unknown host name", "https://sts.invalid.", nil, explain.HeadingNameResolution, nameNameResolution},
		{"proxy refuses", "https://sts.example", throughProxy(answering(t, "403 Forbidden")), explain.HeadingProxy, nameConnection},
		{"proxy requires a password", "https://sts.example", throughProxy(answering(t, "407 Proxy Authentication Required")), explain.HeadingProxy, nameConnection},
		{"unreachable proxy", "https://sts.example", throughProxy("127.0.0.1:1"), explain.HeadingProxy, nameConnection},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, client := askThrough(t, time.Minute, tt.target, tt.change)
			require.Error(t, p.err)
			assert.Equal(t, strings.Contains(tt.name, "proxy"), exchange.Proxied(client, tt.target))
			requireFailedProbe(t, p, tt.target, exchange.Proxied(client, tt.target), tt.check, tt.heading)
		})
	}
}

// requireFailedProbe requires that the probe fails exactly the given check, with the given heading.
func requireFailedProbe(t *testing.T, p *probe, target string, proxied bool, check string, heading explain.Heading) {
	t.Helper()
	u, err := url.Parse(target)
	require.NoError(t, err)
	d := &diagnosis{result: &Result{}, config: &config.Config{Endpoint: &smithyendpoints.Endpoint{URI: *u}, Region: "us-west-2", Shared: &config.Shared{}}}
	p.mu.Lock()
	defer p.mu.Unlock()
	d.checkNameResolution(p, proxied)
	d.checkConnection(p, proxied)
	d.checkTLS(p)
	d.checkResult(p)
	var failed []Check
	for _, c := range d.result.Checks {
		if c.Status == Failed {
			failed = append(failed, c)
		}
	}
	require.Len(t, failed, 1, "%v", d.result.Checks)
	assert.Equal(t, check, failed[0].Name, failed[0].Detail)
	assert.Equal(t, heading.Link(), failed[0].Link, failed[0].Detail)
}

// A pipe without a peer stands in for the connection. The trace hooks of earlier steps are called as
// for a real connection.
func TestProbeOfSilentPeerLinksToHeading(t *testing.T) {
	for _, tt := range []struct {
		name    string
		proxy   string
		heading explain.Heading
		check   string
	}{
		{"a silent server", "", explain.HeadingTimeout, nameTLS},
		{"a silent proxy", "proxy.example:3128", explain.HeadingProxy, nameConnection},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, client := askThrough(t, probeLimit, "https://sts.example", func(transport *http.Transport) {
					if tt.proxy != "" {
						throughProxy(tt.proxy)(transport)
					}
					transport.DialContext = silentDialer(t)
				})
				require.ErrorIs(t, p.err, context.DeadlineExceeded)
				requireFailedProbe(t, p, "https://sts.example", exchange.Proxied(client, "https://sts.example"), tt.check, tt.heading)
			})
		})
	}
}

// silentDialer returns a dialer whose connections are accepted but never answered.
func silentDialer(t *testing.T) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, there) }()
		t.Cleanup(func() { _ = there.Close() })
		if trace := httptrace.ContextClientTrace(ctx); trace != nil {
			trace.ConnectStart(network, address)
			trace.ConnectDone(network, address, nil)
		}
		return here, nil
	}
}

func throughProxy(address string) func(*http.Transport) {
	return func(t *http.Transport) {
		t.Proxy = func(*http.Request) (*url.URL, error) { return &url.URL{Scheme: "http", Host: address}, nil }
	}
}

// answering returns the address of a proxy that always responds with status.
func answering(t *testing.T, status string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	stopped := make(chan struct{})
	t.Cleanup(func() { _ = listener.Close(); <-stopped })
	go func() {
		defer close(stopped)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(connection)); err == nil {
				_, _ = fmt.Fprintf(connection, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", status)
			}
			_ = connection.Close()
		}
	}()
	return listener.Addr().String()
}

func TestProbeReportsReuseAndAddressAndLimitsBody(t *testing.T) {
	served := make(chan int, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := 0
		for ; n < 1000; n++ {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				break
			}
		}
		served <- n
	}))
	defer server.Close()
	p, _ := askThrough(t, time.Minute, server.URL, nil)
	require.NoError(t, p.err)
	assert.Less(t, <-served, 1000, "the probe stops reading")

	small := httptest.NewServer(http.NotFoundHandler())
	defer small.Close()
	client := &http.Client{Transport: &http.Transport{}} // unlike the library's client, it keeps connections alive
	first := sendProbe(t.Context(), client, small.URL)
	again := sendProbe(t.Context(), client, small.URL)
	assert.True(t, first.connect.done && !first.reused)
	assert.True(t, again.reused && again.traced() && !again.connect.begun)

	_, port, err := net.SplitHostPort(small.Listener.Addr().String())
	require.NoError(t, err)
	p, _ = askThrough(t, time.Minute, "http://localhost:"+port, nil) // may try ::1 first, which refuses connections
	require.NoError(t, p.err)
	assert.True(t, p.lookup.done && p.connect.done)
	assert.Equal(t, "127.0.0.1:"+port, p.address)
}

func TestProbeSkewIsLowerBound(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ sent, received, want time.Duration }{
		{0, 0, 0},
		{500 * time.Millisecond, 900 * time.Millisecond, 0}, // within the header's rounding
		{30 * time.Second, 31 * time.Second, 29 * time.Second},
		{-31 * time.Second, -30 * time.Second, -30 * time.Second},
		{-time.Second, time.Second, 0},
	} {
		p := &probe{date: at, sent: at.Add(tt.sent), received: at.Add(tt.received)}
		assert.Equal(t, tt.want, p.skew(), tt)
	}
}
