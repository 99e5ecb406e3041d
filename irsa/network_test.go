package irsa_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// network is an in-memory network for clients that need real connections. Its only server is the kit's
// STS.
type network struct {
	server  http.Server
	accepts chan net.Conn
	serving sync.WaitGroup

	mu    sync.Mutex
	conns map[*conn]bool // the open connections
	dials int
}

func newNetwork(t *testing.T, k *irsatest.Cluster) *network {
	n := &network{accepts: make(chan net.Conn), conns: map[*conn]bool{}}
	sts := k.HTTPClient().Transport
	n.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Scheme, r.URL.Host, r.RequestURI = "https", "sts.us-west-2.amazonaws.com", ""
		response, err := sts.RoundTrip(r)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer func() { _ = response.Body.Close() }()
		for name, values := range response.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body)
	})
	n.serving.Go(func() { _ = n.server.Serve(n) })
	t.Cleanup(func() {
		_ = n.server.Close()
		n.serving.Wait()
	})
	return n
}

// client returns an HTTP client for the network.
func (n *network) client() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.DialContext, t.Proxy = n.dial, nil })
}

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	c := &conn{Conn: here, network: n}
	n.mu.Lock()
	n.conns[c] = true
	n.dials++
	n.mu.Unlock()
	select {
	case n.accepts <- there:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// swallow makes every open connection discard what is written to it.
func (n *network) swallow() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		c.swallows = true
	}
}

func (n *network) open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns)
}

// Accept, Close and Addr make the network a net.Listener.
func (n *network) Accept() (net.Conn, error) {
	c, ok := <-n.accepts
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (n *network) Close() error   { close(n.accepts); return nil }
func (n *network) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// conn is a client's end of a connection.
type conn struct {
	net.Conn
	network  *network
	swallows bool // guarded by the network's mu
}

func (c *conn) Write(p []byte) (int, error) {
	c.network.mu.Lock()
	swallows := c.swallows
	c.network.mu.Unlock()
	if swallows {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	c.network.mu.Lock()
	delete(c.network.conns, c)
	c.network.mu.Unlock()
	return c.Conn.Close()
}
