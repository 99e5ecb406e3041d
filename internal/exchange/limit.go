package exchange

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/irsakit/irsakit/internal/explain"
)

// maxUnanswered is how many bytes a server may send without an intervening request. The largest
// response that is read, including a TLS handshake, takes less than half of that.
const maxUnanswered = 1 << 20

// limitConnections limits what a transport reads from each connection. net/http limits response
// headers, but did not limit those of a proxy's CONNECT response before Go 1.26. It also limits the time
// to dial to the deadline of a request (see withDialDeadline).
func limitConnections(t *http.Transport) {
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
		if deadline, ok := ctx.Value(dialDeadline{}).(time.Time); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(dialGrace))
			defer cancel()
		}
		connection, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return newLimitedConn(connection), nil
	}
}

// dialGrace is how long after the deadline of a request its dial ends, so that the error of the request
// is always the same.
const dialGrace = 100 * time.Millisecond

// dialDeadline is the context key for the deadline of a request.
type dialDeadline struct{}

// withDialDeadline returns the request with its deadline as a value of its context. net/http dials with
// a context without the deadline. net.Dialer divides the time it has among the addresses of a host, so
// it would still be dialing the first one when the request times out.
func withDialDeadline(request *http.Request) *http.Request {
	ctx := request.Context()
	if deadline, ok := ctx.Deadline(); ok {
		return request.WithContext(context.WithValue(ctx, dialDeadline{}, deadline))
	}
	return request
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
