package exchange

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
)

// closeAfterReply starts a server that closes each connection as soon as a second request arrives on
// it. This simulates a request that crosses with the closing of an idle connection.
func closeAfterReply(t *testing.T) (endpoint string, requests *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, listener.Close()) })
	requests = new(atomic.Int32)
	serve := func(connection net.Conn) {
		defer func() { _ = connection.Close() }()
		reader := bufio.NewReader(connection)
		for n := range 2 {
			request, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			requests.Add(1)
			body, err := io.ReadAll(request.Body)
			assert.NoError(t, err)
			assert.Contains(t, string(body), "WebIdentityToken="+testToken)
			assert.NotContains(t, request.Header, "Idempotency-Key")
			if n == 0 {
				_, _ = io.WriteString(connection, reply("200 OK", success(goodARN, "secret", "session")))
			}
		}
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(connection)
		}
	}()
	return "http://" + listener.Addr().String(), requests
}

func TestClientRetriesRequestOnClosedConnection(t *testing.T) {
	endpoint, requests := closeAfterReply(t)
	x := exchangeOf(t, endpoint, &config.Shared{}, 1)
	defer x.Client.CloseIdleConnections()
	for range 3 {
		_, err := x.Retrieve(t.Context())
		require.NoError(t, err)
	}
	assert.EqualValues(t, 5, requests.Load(), "each but the first is sent twice")
}

// A load balancer can keep a connection on a backend that fails every request.
func TestTransportDoesNotReuseConnectionOfFailingServer(t *testing.T) {
	for _, status := range []int{500, 502, 503, 504} {
		for _, body := range []string{"", "<html>upstream error</html>", "<ErrorResponse><Error><Code>InternalFailure</Code></Error></ErrorResponse>"} {
			var connections atomic.Int32
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Context().Value(connectionKey{}) == int32(1) {
					w.WriteHeader(status)
					_, _ = io.WriteString(w, body)
					return
				}
				_, _ = io.WriteString(w, success(goodARN, "secret", "session"))
			}))
			server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
				return context.WithValue(ctx, connectionKey{}, connections.Add(1))
			}
			server.Start()
			x := exchangeOf(t, server.URL, &config.Shared{}, 1)
			_, err := x.Retrieve(t.Context())
			require.Error(t, err)
			for range 3 {
				_, err = x.Retrieve(t.Context())
				require.NoError(t, err, "HTTP %d %s", status, body)
			}
			assert.EqualValues(t, 2, connections.Load())
			x.Client.CloseIdleConnections()
			server.Close()
		}
	}
}

// connectionKey is the key of a connection's number in the context of its requests.
type connectionKey struct{}

// redirecting is a client that follows redirects.
type redirecting struct{ *http.Client }

func TestRetrieveNeverSendsTokenToOtherServer(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.Empty(t, body)
	}))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	for _, client := range []aws.HTTPClient{nil, &http.Client{}, redirecting{&http.Client{}}} {
		for _, conns := range []int{0, 1} {
			x := exchangeOf(t, server.URL, &config.Shared{HTTPClient: client}, conns)
			_, err := x.Retrieve(t.Context())
			require.ErrorIs(t, err, explain.ErrNotSTS)
			x.Client.CloseIdleConnections()
		}
	}
}
