package exchange

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
)

// net/http limits response headers, but did not limit those of a proxy's CONNECT response before Go
// 1.26.
func TestTransportLimitsProxyResponse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	var sent atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		connection, err := listener.Accept()
		if !assert.NoError(t, err) {
			return
		}
		defer func() { _ = connection.Close() }()
		_, err = connection.Read(make([]byte, 4<<10))
		assert.NoError(t, err)
		_, err = io.WriteString(connection, "HTTP/1.1 200 OK\r\n")
		for line := append(bytes.Repeat([]byte("x"), 64<<10), ": y\r\n"...); err == nil && sent.Load() < 64<<20; {
			var n int
			n, err = connection.Write(line)
			sent.Add(int64(n))
		}
	}()
	base := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: listener.Addr().String()})
	})
	_, err = exchangeOf(t, "https://sts.example", &config.Shared{HTTPClient: base}, 0).Retrieve(t.Context())
	require.Error(t, err)
	<-ended
	assert.Less(t, sent.Load(), int64(32<<20), "the rest is in the buffers of the connection")
}

// The reason phrase can contain anything, such as the password or a number that differs between
// attempts.
func TestTransportOmitsReasonPhraseOfProxy(t *testing.T) {
	for status, want := range map[string]string{
		"407 Proxy Authentication Required": "407 Proxy Authentication Required",
		"407 not Basic dXNlcjpodW50ZXIy":    "407 Proxy Authentication Required",
		"403 Forbidden (request 4711)":      "403 Forbidden",
		"503":                               "503 Service Unavailable",
		"599 Busy":                          "599",
	} {
		address, _ := respond(t, reply(status, ""))
		proxy, err := url.Parse(address)
		require.NoError(t, err)
		base := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.Proxy = http.ProxyURL(proxy) })
		_, err = exchangeAt(t, "https://sts.example", base)
		require.EqualError(t, err, "the proxy "+proxy.Host+" responded with "+want)
	}
}

// net/http calls the dial function in a goroutine of its own.
func TestTransportRecoversPanicOfDialFunction(t *testing.T) {
	for text, want := range map[string]string{"of the program": "of the program", testToken: redacted} {
		base := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.DialContext = func(context.Context, string, string) (net.Conn, error) { panic(text) }
		})
		_, err := exchangeAt(t, "https://sts.example", base)
		require.ErrorContains(t, err, "the dial function panicked: "+want)
		require.ErrorIs(t, err, explain.ErrPanic)
	}
}

// net.Dialer reaches the next address of a host only if it knows how much time there is.
func TestTransportDialsUntilDeadlineOfRequest(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	end, _ := ctx.Deadline()
	for want, ctx := range map[time.Time]context.Context{end.Add(dialGrace): ctx, {}: t.Context()} {
		var dialed time.Time
		base := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				dialed, _ = ctx.Deadline()
				return nil, io.ErrUnexpectedEOF
			}
		})
		_, err := exchangeOf(t, "https://sts.example", &config.Shared{HTTPClient: base}, 0).Retrieve(ctx)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.Equal(t, want, dialed)
	}
}

func TestLimitedConnLimitsReadsBetweenWrites(t *testing.T) {
	here, peer := net.Pipe()
	defer func() { _, _ = here.Close(), peer.Close() }()
	go func() { _, _ = io.Copy(peer, endless{}) }()
	c := newLimitedConn(here)
	n, err := io.Copy(io.Discard, c)
	require.ErrorIs(t, err, explain.ErrNotSTS)
	assert.EqualValues(t, maxUnanswered, n)

	go func() { _, _ = peer.Read(make([]byte, 10)) }()
	_, err = c.Write([]byte("a request"))
	require.NoError(t, err)
	n, err = io.Copy(io.Discard, c)
	require.ErrorIs(t, err, explain.ErrNotSTS)
	assert.EqualValues(t, maxUnanswered, n)
}

// endless is a reader that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
