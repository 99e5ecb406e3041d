package exchange

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/irsakit/irsakit/internal/explain"
)

// maxUnanswered is how many bytes a server may send without an intervening request. The largest
// response that is read, including a TLS handshake, takes less than half of that.
const maxUnanswered = 1 << 20

// limitReads limits what a transport reads from each connection. net/http limits response headers,
// but did not limit those of a proxy's CONNECT response before Go 1.26.
func limitReads(t *http.Transport) {
	dial := t.DialContext
	if dial == nil { // the application configured another dial function
		return
	}
	t.DialContext = func(ctx context.Context, network, address string) (_ net.Conn, err error) {
		defer func() {
			if r := recover(); r != nil { // in the application's function
				err = fmt.Errorf("the dial function %w: %v", explain.ErrPanic, r)
			}
		}()
		connection, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return newLimitedConn(connection), nil
	}
}

// limitedConn reads at most maxUnanswered bytes between two writes.
type limitedConn struct {
	net.Conn
	left atomic.Int64
}

func newLimitedConn(connection net.Conn) *limitedConn {
	c := &limitedConn{Conn: connection}
	c.left.Store(maxUnanswered)
	return c
}

func (c *limitedConn) Read(p []byte) (int, error) {
	left := c.left.Load()
	if left <= 0 {
		return 0, fmt.Errorf("the server sent more than %d bytes: %w", maxUnanswered, explain.ErrNotSTS)
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), left)])
	c.left.Add(-int64(n))
	return n, err
}

func (c *limitedConn) Write(p []byte) (int, error) {
	c.left.Store(maxUnanswered)
	return c.Conn.Write(p)
}
