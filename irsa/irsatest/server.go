package irsatest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// A server serves a handler on a loopback address. It can be stopped and restarted on the same
// address.
type server struct {
	addr    string
	handler http.Handler

	mu     sync.Mutex
	http   *http.Server // nil while stopped
	done   chan struct{}
	closed bool // stopped permanently
}

// newServer returns a server and its listener on a free port. It does not serve yet.
func newServer(handler http.HandlerFunc) (*server, net.Listener, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("irsatest: %w", err)
	}
	return &server{addr: listener.Addr().String(), handler: handler}, listener, nil
}

// serve serves on the listener. If the server is already running or closed, it closes the listener.
func (s *server) serve(listener net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.http != nil || s.closed {
		_ = listener.Close()
		return
	}
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	done := make(chan struct{})
	s.http, s.done = server, done
	go func() {
		defer close(done)
		_ = server.Serve(listener) // returns when the server is closed
	}()
}

// stopped reports whether the server is stopped and can be restarted.
func (s *server) stopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.http == nil && !s.closed
}

// start listens on the address again. It retries for two seconds, because an outgoing connection may
// be using the port.
func (s *server) start() error {
	for deadline := time.Now().Add(2 * time.Second); s.stopped(); {
		listener, err := net.Listen("tcp", s.addr)
		switch {
		case err == nil:
			s.serve(listener)
		case time.Now().After(deadline):
			return fmt.Errorf("listening again: %w", err)
		default:
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}

// stop immediately closes the listener and all connections.
func (s *server) stop() {
	if server, done := s.detach(false); server != nil {
		_ = server.Close()
		<-done
	}
}

// shutdown stops the server permanently. It waits up to a second for handlers to return.
func (s *server) shutdown() {
	server, done := s.detach(true)
	if server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		_ = server.Close()
	}
	<-done
}

// detach returns the running server, or nil, and marks it as stopped. If permanent is set, it cannot
// be restarted.
func (s *server) detach(permanent bool) (*http.Server, chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = s.closed || permanent
	server, done := s.http, s.done
	s.http, s.done = nil, nil
	return server, done
}
