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

// conn is an accepted connection. Its fields are guarded by the listener's mutex.
type conn struct {
	net.Conn
	listener *listener
	close    sync.Once

	protected bool
	in        *list.List    // the list that contains or last contained c
	element   *list.Element // c's element in the list, or nil if c is not in a list
	since     time.Time     // when c was added to the list
	reading   bool          // a Read is in progress
	writing   bool          // a Write is in progress
	handling  bool          // the handler is running; the server reads meanwhile
	ending    bool          // the server is only waiting for the peer to close
	lines     int           // read since the last request
}

// maxLines is the maximum number of lines in a request. net/http limits only their total size, but
// thousands of short headers use several times as much CPU time and memory as a single long one.
const maxLines = 128

var errManyLines = errors.New("the request has too many lines")

// join appends c to l. The mutex must be held.
func (c *conn) join(l *list.List) { c.in, c.element, c.since = l, l.PushBack(c), time.Now() }

// leave removes c from its list. The mutex must be held.
func (c *conn) leave() {
	if c.element != nil {
		c.in.Remove(c.element)
		c.element = nil
	}
}

// waits reports whether the server is waiting for the peer rather than handling a request. The mutex
// must be held.
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

// CloseWrite ends the response. The server calls it before closing a connection whose request it has
// not read completely.
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

// track marks connections while handler is handling their requests.
func track(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*conn); ok {
			c.set(&c.handling, true)
			defer c.set(&c.handling, false)
		}
		handler.ServeHTTP(w, r)
	})
}

// Protect keeps a request's connection open until its response has been sent, even if the server is
// full and the client reads slowly. Afterward, connections without a protected request are closed
// first. Call Protect once a request has passed all checks. If all connections are protected, new
// connections must wait, so protect only requests from known senders, or requests whose responses are
// fast and small. Protect is a no-op if the request was not received by a [Server].
func Protect(r *http.Request) {
	c, ok := r.Context().Value(connKey{}).(*conn)
	if !ok {
		return
	}
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	if c.element != nil { // otherwise, it is being closed or is already protected
		c.leave()
		c.protected = true
	}
}
