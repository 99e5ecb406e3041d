package bounded_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/examples/observability/bounded"
)

// startEndless returns a server for one connection that writes endless responses, and a connection
// that does not read its response.
func startEndless(t *testing.T) (*testServer, net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	writing := make(chan struct{}, 1)
	s := &testServer{served: make(chan error, 1)}
	s.Server = bounded.NewServer(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.URL.Path == "/endless" {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
			select {
			case writing <- struct{}{}:
			default:
			}
		}
	}), bounded.Options{Connections: 1, Timeout: 2 * patience})
	go func() { s.served <- s.Serve() }()
	c := s.dial(t, "GET /endless"+host)
	<-writing
	return s, c
}

func TestServerClosesConnectionThatIgnoresResponse(t *testing.T) {
	s, c := startEndless(t)
	_, err := io.WriteString(c, "GET /fast"+host) // input that the server also does not read
	require.NoError(t, err)
	status, _ := receive(t, s.dial(t, "GET /fast"+host))
	assert.Equal(t, http.StatusOK, status)
	require.NoError(t, s.shutdown(patience))
	require.NoError(t, <-s.served)
}

func TestShutdownClosesConnectionThatIgnoresResponse(t *testing.T) {
	s, _ := startEndless(t)
	require.NoError(t, s.shutdown(patience/2))
	require.NoError(t, <-s.served)
}

func TestShutdownAnswersRequestsAndClosesSilentConnections(t *testing.T) {
	s := start(t, bounded.Options{Connections: 8, KeepAlive: true})
	silent := s.dial(t, "")
	c := s.dial(t, "GET /wait"+host)
	<-s.waiting
	ended := make(chan error, 1)
	go func() { ended <- s.shutdown(patience) }()
	require.NoError(t, <-s.served, "the listener is closed first")
	requireClosed(t, silent)
	s.release <- struct{}{}
	status, _ := receive(t, c)
	assert.Equal(t, http.StatusOK, status)
	require.NoError(t, <-ended)
}

func TestShutdownClosesAllConnectionsWhenContextEnds(t *testing.T) {
	s := start(t, bounded.Options{Connections: 1})
	c := s.dial(t, "GET /wait"+host)
	<-s.waiting
	queued := s.dial(t, "GET /fast"+host)
	require.ErrorIs(t, s.shutdown(10*time.Millisecond), context.DeadlineExceeded)
	requireClosed(t, c)
	requireClosed(t, queued)
	require.NoError(t, <-s.served)
}

func TestShutdownWithoutServeClosesListener(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := bounded.NewServer(listener, http.NotFoundHandler(), bounded.Options{})
	require.NoError(t, s.Shutdown(t.Context()))
	require.NoError(t, s.Serve())
	_, err = net.Dial("tcp", listener.Addr().String())
	require.Error(t, err)
}
