package bounded

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"runtime"
	"sync"
)

// listener accepts connections up to a limit. When it is full, it closes the oldest
// connection that waits for a request, instead of letting new connections wait: clients that
// are silent or slow then take connections only from each other.
type listener struct {
	net.Listener
	limit   int
	evicted func() // called for each connection that is closed to make room; may be nil

	mu     sync.Mutex
	freed  sync.Cond // a connection may have become free or evictable, or the listener closed
	closed bool
	open   int
	// The connections that may be closed, oldest first. Those in strangers have not made a
	// protected request yet; they are closed first. Those in idle have.
	strangers, idle list.List
}

func newListener(inner net.Listener, limit int, evicted func()) *listener {
	l := &listener{Listener: inner, limit: limit, evicted: evicted}
	l.freed.L = &l.mu
	return l
}

// Accept implements [net.Listener]. It waits only if all connections are protected.
func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if err := l.makeRoom(); err != nil {
		_ = inner.Close()
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &conn{Conn: inner, listener: l, in: &l.strangers}
	c.element = l.strangers.PushBack(c)
	return c, nil
}

// makeRoom counts a new connection. If there are too many, it closes the oldest.
func (l *listener) makeRoom() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for yielded := false; l.open >= l.limit; {
		if l.closed {
			return net.ErrClosed
		}
		if !yielded { // lets the accepted connections read their requests first
			yielded = true
			l.mu.Unlock()
			runtime.Gosched()
			l.mu.Lock()
			continue
		}
		oldest := l.takeOldest()
		if oldest == nil {
			l.freed.Wait()
			continue
		}
		l.mu.Unlock()
		_ = oldest.Close() // counts it as free
		if l.evicted != nil {
			l.evicted()
		}
		l.mu.Lock()
	}
	l.open++
	return nil
}

// takeOldest removes the connection that is to be closed next from its list. It returns nil
// if all connections are protected. l.mu must be held.
func (l *listener) takeOldest() *conn {
	for _, from := range []*list.List{&l.strangers, &l.idle} {
		if front := from.Front(); front != nil {
			c := front.Value.(*conn)
			c.leave()
			return c
		}
	}
	return nil
}

// closeUnprotected closes all connections that wait for a request.
func (l *listener) closeUnprotected() {
	for {
		l.mu.Lock()
		c := l.takeOldest()
		l.mu.Unlock()
		if c == nil {
			return
		}
		_ = c.Close()
	}
}

// Close implements [net.Listener].
func (l *listener) Close() error {
	l.mu.Lock()
	l.closed = true
	l.freed.Broadcast()
	l.mu.Unlock()
	return l.Listener.Close()
}

// setState is the ConnState hook of the server. After a protected request, the connection
// may be closed again.
func (l *listener) setState(nc net.Conn, state http.ConnState) {
	c, ok := nc.(*conn)
	if !ok || state != http.StateIdle {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.protected {
		c.protected = false
		c.in, c.element = &l.idle, l.idle.PushBack(c)
		l.freed.Signal()
	}
}

// conn is an accepted connection. l.mu of its listener guards its fields.
type conn struct {
	net.Conn
	listener  *listener
	closeOnce sync.Once
	protected bool
	in        *list.List    // the list that contains it
	element   *list.Element // its element, or nil if no list contains it
}

// leave removes c from its list. l.mu must be held.
func (c *conn) leave() {
	if c.element != nil {
		c.in.Remove(c.element)
		c.element = nil
	}
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	c.closeOnce.Do(func() {
		c.listener.mu.Lock()
		defer c.listener.mu.Unlock()
		c.leave()
		c.listener.open--
		c.listener.freed.Signal()
	})
	return c.Conn.Close()
}

type connKey struct{}

// withConn is the ConnContext hook of the server.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// Protect keeps the connection of a request open until its response has been sent, even if
// the server is full. Call it once a request has passed all checks. A server whose
// connections are all protected lets new connections wait, so protect only requests that
// end by themselves and whose senders are known or whose responses are small. Protect does
// nothing for a request that a [Server] has not received.
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
