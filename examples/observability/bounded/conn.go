package bounded

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// conn is an accepted connection. The mutex of its listener guards the fields.
type conn struct {
	net.Conn
	listener *listener
	close    sync.Once

	protected bool
	in        *list.List    // the list that contains it
	element   *list.Element // its element of the list, or nil if no list contains it
	since     time.Time     // when it was added to the list
	reading   bool          // whether a call of Read is in progress
	writing   bool          // whether a call of Write is in progress
	handling  bool          // whether the handler runs; the server reads meanwhile
	ending    bool          // whether the server only waits for the peer to close
	lines     int           // read since the last request
}

// maxLines is the maximum number of lines of a request. net/http limits their size only, but
// thousands of short headers take several times the CPU time and the memory of a long one.
const maxLines = 128

var errManyLines = errors.New("the request has too many lines")

// join adds c to the end of a list. The mutex must be held.
func (c *conn) join(l *list.List) { c.in, c.element, c.since = l, l.PushBack(c), time.Now() }

// leave removes c from its list. The mutex must be held.
func (c *conn) leave() {
	if c.element != nil {
		c.in.Remove(c.element)
		c.element = nil
	}
}

// waits reports whether the server waits for the peer, instead of handling a request. The
// mutex must be held.
func (c *conn) waits() bool { return c.reading && !c.handling || c.writing || c.ending }

// Read implements [net.Conn].
func (c *conn) Read(b []byte) (int, error) {
	c.set(&c.reading, true)
	defer c.set(&c.reading, false)
	n, err := c.Conn.Read(b)
	if c.countLines(b[:n]) > maxLines {
		return 0, errManyLines
	}
	return n, err
}

func (c *conn) countLines(b []byte) int {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	c.lines += bytes.Count(b, []byte("\n"))
	return c.lines
}

// Write implements [net.Conn].
func (c *conn) Write(b []byte) (int, error) {
	c.set(&c.writing, true)
	defer c.set(&c.writing, false)
	return c.Conn.Write(b)
}

// CloseWrite ends the response. The server calls it before it closes the connection of a
// request that it has not read completely.
func (c *conn) CloseWrite() error {
	c.set(&c.ending, true)
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// set sets a field of c.
func (c *conn) set(field *bool, value bool) {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	*field = value
	c.listener.changed.Signal()
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	c.close.Do(func() {
		c.listener.mu.Lock()
		defer c.listener.mu.Unlock()
		c.leave()
		c.listener.open--
		c.listener.changed.Signal()
	})
	return c.Conn.Close()
}

type connKey struct{}

// withConn is the ConnContext hook of the server.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// track marks the connections of requests that handler handles.
func track(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*conn); ok {
			c.set(&c.handling, true)
			defer c.set(&c.handling, false)
		}
		handler.ServeHTTP(w, r)
	})
}

// Protect keeps the connection of a request open until its response has been sent, even if
// the server is full and the client reads slowly. Afterwards, connections without a protected
// request are closed before it. Call Protect once a request has passed all checks. A server
// whose connections are all protected lets new connections wait, so protect only requests
// whose senders are known, or whose responses come soon and are small. Protect does nothing
// for a request that a [Server] has not received.
func Protect(r *http.Request) {
	c, ok := r.Context().Value(connKey{}).(*conn)
	if !ok {
		return
	}
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	if c.element != nil { // otherwise it is being closed, or protected already
		c.leave()
		c.protected = true
	}
}
