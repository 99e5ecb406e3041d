package bounded

import (
	"container/list"
	"net"
	"net/http"
	"sync"
	"time"
)

// minAge is how old a connection must be before it may be closed. It gives clients on a busy machine
// time to send their requests. With 512 connections, the listener still accepts 5,000 silent
// connections per second.
const minAge = 100 * time.Millisecond

// listener accepts connections up to a limit. When it is full, it closes the oldest unprotected
// connection that is waiting for its peer, rather than letting new connections wait. Silent or slow
// clients therefore take connections only from each other.
type listener struct {
	net.Listener
	limit   int
	evicted func() // called for each connection closed to make room; may be nil

	mu      sync.Mutex
	changed sync.Cond // a connection ended, may be closed, or is old enough, or the listener was closed
	closed  bool
	open    int
	// Connections that may be closed, oldest first. Connections in strangers have not made a
	// protected request yet and are closed first. Connections in idle have made one.
	strangers, idle list.List
}

func newListener(inner net.Listener, limit int, evicted func()) *listener {
	l := &listener{Listener: inner, limit: limit, evicted: evicted}
	l.changed.L = &l.mu
	return l
}

// Accept implements [net.Listener]. If the listener is full, it waits until a connection ends or may
// be closed.
func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.open >= l.limit {
		if l.closed {
			_ = inner.Close()
			return nil, net.ErrClosed
		}
		l.makeRoom()
	}
	l.open++
	c := &conn{Conn: inner, listener: l}
	c.join(&l.strangers)
	return c, nil
}

// makeRoom closes the oldest connection that is waiting for its peer, or waits for one. l.mu must be
// held. It is released while waiting and closing.
func (l *listener) makeRoom() {
	oldest := l.oldest()
	if oldest == nil {
		l.changed.Wait()
		return
	}
	if rest := minAge - time.Since(oldest.since); rest > 0 {
		timer := time.AfterFunc(rest, l.wake)
		l.changed.Wait()
		timer.Stop()
		return
	}
	oldest.leave()
	if !oldest.writing && !oldest.ending && hasInput(oldest.Conn) { // its goroutine is waiting for the CPU, not for the peer
		oldest.join(oldest.in)
		return
	}
	l.mu.Unlock()
	_ = oldest.Close()
	if l.evicted != nil {
		l.evicted()
	}
	l.mu.Lock()
}

// wake wakes makeRoom. It acquires the lock, so that makeRoom cannot miss the wakeup.
func (l *listener) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed.Broadcast()
}

// oldest returns the oldest unprotected connection that is waiting for its peer, or nil. l.mu must be
// held.
func (l *listener) oldest() *conn {
	from := &l.strangers
	if from.Len() == 0 {
		from = &l.idle
	}
	for e := from.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*conn); c.waits() {
			return c
		}
	}
	return nil
}

// closeWaiting closes all unprotected connections that are waiting for their peers.
func (l *listener) closeWaiting() {
	var waiting []*conn
	l.mu.Lock()
	for _, from := range []*list.List{&l.strangers, &l.idle} {
		for e := from.Front(); e != nil; e = e.Next() {
			if c := e.Value.(*conn); c.waits() {
				waiting = append(waiting, c)
			}
		}
	}
	l.mu.Unlock()
	for _, c := range waiting {
		_ = c.Close()
	}
}

// Close implements [net.Listener].
func (l *listener) Close() error {
	l.mu.Lock()
	l.closed = true
	l.changed.Broadcast()
	l.mu.Unlock()
	return l.Listener.Close()
}

// setState is the ConnState hook of the server. After a request, the connection may be closed again,
// and its line count starts over.
func (l *listener) setState(nc net.Conn, state http.ConnState) {
	c, ok := nc.(*conn)
	if !ok || state != http.StateIdle {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.lines = 0
	if c.protected {
		c.protected = false
		c.join(&l.idle)
		l.changed.Broadcast()
	}
}
