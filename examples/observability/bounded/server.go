// Package bounded provides an HTTP server that silent, slow or rejected clients cannot exhaust. It
// limits the number of connections, the size of requests, and the duration of each step.
package bounded

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits for a request. They are sufficient for the kubelet, Prometheus and programs in the same pod.
const (
	headerTimeout = time.Second
	idleTimeout   = 10 * time.Second
	headerSlop    = 4 << 10 // added to MaxHeaderBytes by net/http
)

// Options configures a [Server].
type Options struct {
	// Connections is the maximum number of connections. When a new connection exceeds it, the server
	// closes the oldest connection that is waiting for its peer. See also [Protect].
	Connections int

	// HeaderBytes limits the size of a request line and its headers. It is at least 4 KiB. Requests
	// can have up to 128 lines.
	HeaderBytes int

	// Timeout limits the time from the end of a request to the end of its response.
	Timeout time.Duration

	// KeepAlive allows clients to send multiple requests per connection.
	KeepAlive bool

	// Evicted is called for each connection closed to make room for another. It must not block.
	Evicted func()
}

// Server is an HTTP server. It passes all requests to its handler, including "OPTIONS *".
type Server struct {
	listener *listener
	http     http.Server
}

// NewServer returns a server for connections accepted by l. It starts serving when [Server.Serve] is
// called, and closes l when it ends.
func NewServer(l net.Listener, handler http.Handler, o Options) *Server {
	s := &Server{listener: newListener(l, max(o.Connections, 1), o.Evicted)}
	s.http = http.Server{
		Handler:                      track(http.MaxBytesHandler(handler, 0)),
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  headerTimeout,
		WriteTimeout:                 o.Timeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               max(o.HeaderBytes-headerSlop, 1), // 0 would be the default of 1 MiB
		ConnState:                    s.listener.setState,
		ConnContext:                  withConn,
		ErrorLog:                     slog.NewLogLogger(slog.Default().Handler(), slog.LevelError),
	}
	s.http.SetKeepAlivesEnabled(o.KeepAlive)
	return s
}

// RejectBodies returns a handler that rejects requests with a body and passes all others to handler.
func RejectBodies(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			w.Header().Set("Connection", "close")
			http.Error(w, "the request has a body", http.StatusRequestEntityTooLarge)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// Queue returns a handler that passes at most limit requests to handler concurrently. The others wait
// in order of arrival until their contexts are done. A client that reads its response slowly delays
// them, unless the returned handler is wrapped in [http.TimeoutHandler].
func Queue(handler http.Handler, limit int) http.Handler {
	handling := make(chan struct{}, limit)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case handling <- struct{}{}:
			defer func() { <-handling }()
			handler.ServeHTTP(w, r)
		case <-r.Context().Done():
			http.Error(w, "too many requests", http.StatusServiceUnavailable)
		}
	})
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve serves requests until [Server.Shutdown] is called, and then returns nil.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown stops accepting connections and waits until requests in progress have been answered. After
// a second, it closes connections that are waiting for their peers. When ctx is done, it closes all
// remaining connections and returns an error.
func (s *Server) Shutdown(ctx context.Context) error {
	slow := time.AfterFunc(headerTimeout, s.listener.closeWaiting)
	defer slow.Stop()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	_ = s.listener.Close() // already closed by Shutdown, unless Serve was never called
	return err
}
