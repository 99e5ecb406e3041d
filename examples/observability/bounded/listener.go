package bounded

import (
	"container/list"
	"net"
	"net/http"
	"sync"
	"time"
)

// minAge is how old a connection must be before it may be closed. It gives a client on a busy
// machine time to send its request. With 512 connections, the listener still accepts 5,000
// silent ones a second.
const minAge = 100 * time.Millisecond

// listener accepts connections up to a limit. When it is full, it closes the oldest
// connection that waits for its peer and is not protected, instead of letting new connections
// wait: clients that are silent or slow then take connections only from each other.
type listener struct {
	net.Listener
	limit   int
	evicted func() // called for each connection that is closed to make room; may be nil

	mu      sync.Mutex
	changed sync.Cond // a connection has ended, may be closed, or is old enough; or the listener is closed
	closed  bool
	open    int
	// The connections that may be closed, oldest first. Those in strangers have not made a
	// protected request yet; they are closed first. Those in idle have.
	strangers, idle list.List
}

func newListener(inner net.Listener, limit int, evicted func()) *listener {
	l := &listener{Listener: inner, limit: limit, evicted: evicted}
	l.changed.L = &l.mu
	return l
}

// Accept implements [net.Listener]. When the listener is full, it waits until a connection
// ends or may be closed.
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

// makeRoom closes the oldest connection that waits for its peer, or waits until there is one.
// l.mu must be held; makeRoom releases it meanwhile.
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
	if !oldest.writing && !oldest.ending && hasInput(oldest.Conn) { // its goroutine waits for the CPU, not for the peer
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

// wake wakes makeRoom. It takes the lock, so that makeRoom cannot miss it.
func (l *listener) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed.Broadcast()
}

// oldest returns the oldest connection that waits for its peer and is not protected, or nil.
// l.mu must be held.
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

// closeWaiting closes all connections that wait for their peers and are not protected.
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

// setState is the ConnState hook of the server. After a request, the connection may be closed
// again, and its lines are counted anew.
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
