package bounded_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/irsakit/irsakit/examples/observability/bounded"
)

// patience is how long a test waits for something that should happen immediately.
const patience = 2 * time.Minute

// testServer is a running server. Its handler answers /fast immediately. For any other path, it sends
// the arrival of the request to waiting. It then answers once a value is sent to release, or with an
// error if the request is canceled first. Requests for /wait are protected.
type testServer struct {
	*bounded.Server
	waiting, release chan struct{}
	evicted          atomic.Int64
	served           chan error
}

func start(t *testing.T, o bounded.Options) *testServer {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) }) // runs after all other cleanups
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &testServer{waiting: make(chan struct{}, 64), release: make(chan struct{}, 64), served: make(chan error, 1)}
	o.Evicted, o.Timeout = func() { s.evicted.Add(1) }, patience
	s.Server = bounded.NewServer(listener, http.HandlerFunc(s.handle), o)
	go func() { s.served <- s.Serve() }()
	t.Cleanup(func() { _ = s.shutdown(10 * time.Second) })
	return s
}

func (s *testServer) handle(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/fast" && r.Method == http.MethodGet {
		if r.URL.Path == "/wait" {
			bounded.Protect(r)
		}
		s.waiting <- struct{}{}
		select {
		case <-s.release:
		case <-r.Context().Done():
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
	fmt.Fprintf(w, "%s %s", r.Method, r.RequestURI)
}

func (s *testServer) shutdown(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return s.Shutdown(ctx)
}

// dial opens a connection and sends text over it.
func (s *testServer) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(c, text)
	require.NoError(t, err)
	return c
}

const host = " HTTP/1.1\r\nHost: test\r\n\r\n"

// receive returns the status and body of a response.
func receive(t *testing.T, c net.Conn) (int, string) {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

// requireClosed requires that the server closes a connection without responding.
func requireClosed(t *testing.T, c net.Conn) {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	require.Zero(t, n)
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the connection is open")
}

func TestServerClosesOldestWaitingConnectionsWhenFull(t *testing.T) {
	for name, text := range map[string]string{"silent": "", "half a header": "GET / HTTP/1.1\r\nHost: "} {
		t.Run(name, func(t *testing.T) {
			s := start(t, bounded.Options{Connections: 4, KeepAlive: true})
			var connections []net.Conn
			for range 8 {
				connections = append(connections, s.dial(t, text))
			}
			for _, c := range connections[:4] {
				requireClosed(t, c)
			}
			status, _ := receive(t, s.dial(t, "GET /fast"+host))
			assert.Equal(t, http.StatusOK, status)
			assert.Positive(t, s.evicted.Load())
		})
	}
}

// After the response, the server waits half a second before closing such a connection.
func TestServerClosesConnectionsWithUnreadBodies(t *testing.T) {
	s := start(t, bounded.Options{Connections: 2})
	var connections []net.Conn
	for range 2 {
		c := s.dial(t, "POST /fast HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("x", 50_000))
		connections = append(connections, c)
	}
	for _, c := range connections { // the responses
		_, err := c.Read(make([]byte, 1))
		require.NoError(t, err)
	}
	status, _ := receive(t, s.dial(t, "GET /fast"+host))
	assert.Equal(t, http.StatusOK, status)
	assert.Positive(t, s.evicted.Load())
}

func TestServerKeepsConnectionsBeingHandled(t *testing.T) {
	for _, path := range []string{"/wait", "/unprotected"} {
		t.Run(path, func(t *testing.T) { checkHandled(t, path) })
	}
}

func checkHandled(t *testing.T, path string) {
	s := start(t, bounded.Options{Connections: 4, KeepAlive: true})
	var waiting []net.Conn
	for range 3 {
		waiting = append(waiting, s.dial(t, "GET "+path+host))
		<-s.waiting
	}
	for range 20 { // these compete for the only other connection
		s.dial(t, "")
	}
	status, _ := receive(t, s.dial(t, "GET /fast"+host))
	assert.Equal(t, http.StatusOK, status)
	for range waiting {
		s.release <- struct{}{}
	}
	for _, c := range waiting {
		status, body := receive(t, c)
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "GET "+path, body)
	}
	assert.GreaterOrEqual(t, s.evicted.Load(), int64(1))
}

func TestServerQueuesConnectionsWhenAllAreProtected(t *testing.T) {
	s := start(t, bounded.Options{Connections: 1, KeepAlive: true})
	first := s.dial(t, "GET /wait"+host)
	<-s.waiting
	second := s.dial(t, "GET /fast"+host)
	require.NoError(t, second.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err := second.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "the only connection is protected")
	require.NoError(t, second.SetReadDeadline(time.Now().Add(patience)))
	s.release <- struct{}{}
	status, _ := receive(t, first)
	assert.Equal(t, http.StatusOK, status)
	status, _ = receive(t, second) // the first connection is now idle, and closed for the second
	assert.Equal(t, http.StatusOK, status)
	assert.EqualValues(t, 1, s.evicted.Load())
	requireClosed(t, first)
}

func TestServerClosesStrangersBeforeIdleConnections(t *testing.T) {
	s := start(t, bounded.Options{Connections: 2, KeepAlive: true})
	known := s.dial(t, "GET /wait"+host)
	<-s.waiting
	s.release <- struct{}{}
	status, _ := receive(t, known)
	require.Equal(t, http.StatusOK, status)
	for range 10 {
		s.dial(t, "")
	}
	status, _ = receive(t, s.dial(t, "GET /fast"+host)) // all earlier ones have been accepted
	require.Equal(t, http.StatusOK, status)
	_, err := io.WriteString(known, "GET /fast"+host)
	require.NoError(t, err)
	status, _ = receive(t, known)
	assert.Equal(t, http.StatusOK, status)
}

func TestServerPassesOptionsToHandler(t *testing.T) {
	s := start(t, bounded.Options{Connections: 2})
	status, body := receive(t, s.dial(t, "OPTIONS *"+host))
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "OPTIONS *", body)
}

func TestServerDoesNotCancelWaitingRequests(t *testing.T) {
	s := start(t, bounded.Options{Connections: 2})
	c := s.dial(t, "GET /wait"+host)
	<-s.waiting
	requireClosed(t, s.dial(t, "")) // after the header limit, which is later than the request limit
	s.release <- struct{}{}
	status, _ := receive(t, c)
	assert.Equal(t, http.StatusOK, status)
}

func TestServerClosesSlowAndLargeRequests(t *testing.T) {
	s := start(t, bounded.Options{Connections: 8, KeepAlive: true})
	slow := s.dial(t, "GET /fast HTTP/1.1\r\nX-Slow: ")
	require.Eventually(t, func() bool { // in two minutes, too few bytes to exceed the header limit
		_, err := io.WriteString(slow, "x")
		return err != nil
	}, patience, 20*time.Millisecond)
	large := s.dial(t, "GET /fast HTTP/1.1\r\nHost: test\r\nX-Large: "+strings.Repeat("x", 16<<10)+"\r\n\r\n")
	answer, _ := io.ReadAll(large) // the server may have reset the connection
	if len(answer) > 0 {
		assert.Contains(t, string(answer), "431 Request Header Fields Too Large")
	}
}

func TestServerRejectsRequestWithManyLines(t *testing.T) {
	s := start(t, bounded.Options{Connections: 8, HeaderBytes: 16 << 10, KeepAlive: true})
	status, _ := receive(t, s.dial(t, "GET /fast HTTP/1.1\r\nHost: test\r\n"+strings.Repeat("x:\r\n", 200)+"\r\n"))
	assert.Equal(t, http.StatusBadRequest, status)
	c := s.dial(t, "")
	responses := bufio.NewReader(c)
	for range 3 { // lines are counted per request
		_, err := io.WriteString(c, "GET /fast HTTP/1.1\r\nHost: test\r\n"+strings.Repeat("x:\r\n", 100)+"\r\n")
		require.NoError(t, err)
		response, err := http.ReadResponse(responses, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, response.StatusCode)
	}
}

func TestServerClosesConnectionAfterResponseWithoutKeepAlive(t *testing.T) {
	s := start(t, bounded.Options{Connections: 2})
	c := s.dial(t, "GET /fast"+host)
	answer, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Contains(t, string(answer), "Connection: close")
}

func TestRejectBodiesClosesConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	handler := bounded.RejectBodies(http.NotFoundHandler())
	s := &testServer{Server: bounded.NewServer(listener, handler, bounded.Options{Connections: 8, Timeout: patience, KeepAlive: true})}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	for text, want := range map[string]int{
		"GET /" + host: http.StatusNotFound,
		"GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody":               http.StatusRequestEntityTooLarge,
		"GET / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": http.StatusRequestEntityTooLarge,
	} {
		status, _ := receive(t, s.dial(t, text))
		assert.Equal(t, want, status, text)
	}
	require.NoError(t, s.shutdown(patience))
	require.NoError(t, <-served)
}
