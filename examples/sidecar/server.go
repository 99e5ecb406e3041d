package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"github.com/irsakit/irsakit/examples/observability/probes"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsametrics"
)

// shutdownTimeout is how long requests in progress may take after the sidecar is stopped. It
// exceeds the longest time that a request waits for credentials.
const shutdownTimeout = retrieveTimeout + 2*time.Second

// sidecar consists of two servers: one for the credentials on loopback, and one for the
// kubelet and Prometheus, which connect from outside the pod.
type sidecar struct {
	credentials, health net.Listener
	servers             [2]*http.Server
}

// start starts listening. Requests are not handled until serve is called.
func start(o options, p *irsa.Provider, metrics *irsametrics.Metrics) (*sidecar, error) {
	if o.connections < 1 {
		return nil, fmt.Errorf("-connections is %d: nobody would be served", o.connections)
	}
	tokens := authorization{o.tokenFile}
	if err := tokens.prepare(o.groupReads); err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	if err := registry.Register(metrics); err != nil {
		return nil, err
	}
	credentials, hosts, err := listenOnLoopback(o.listen)
	if err != nil {
		return nil, err
	}
	health, err := net.Listen("tcp", o.observe) // #nosec G102 -- for the kubelet; it serves no secrets
	if err != nil {
		return nil, errors.Join(err, credentials.Close())
	}
	observed := newServer(observeHandler(p, registry))
	observed.SetKeepAlivesEnabled(false) // idle connections would count toward the limit and delay the kubelet
	return &sidecar{
		credentials: netutil.LimitListener(credentials, o.connections),
		health:      netutil.LimitListener(health, o.connections),
		servers:     [2]*http.Server{newServer(&endpoint{provider: p, authorization: tokens, hosts: hosts}), observed},
	}, nil
}

// listenOnLoopback listens on a loopback address, and returns the Host headers that name it.
// Other addresses are an error.
func listenOnLoopback(address string) (net.Listener, []string, error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, nil, err
	}
	if !resolved.IP.IsLoopback() {
		return nil, nil, fmt.Errorf("%s is not a loopback address: credentials are for this pod alone", address)
	}
	listener, err := net.ListenTCP("tcp", resolved)
	if err != nil {
		return nil, nil, err
	}
	bound := listener.Addr().(*net.TCPAddr)
	port := strconv.Itoa(bound.Port)
	hosts := []string{net.JoinHostPort(bound.IP.String(), port), net.JoinHostPort("localhost", port)}
	if port == "80" {
		hosts = append(hosts, bound.IP.String(), "localhost")
	}
	return listener, hosts, nil
}

// newServer returns a server that limits the size and the duration of requests.
func newServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           http.MaxBytesHandler(handler, 0), // no request has a body
		ReadHeaderTimeout: time.Second,                      // enough for the kubelet and programs in the same pod
		ReadTimeout:       time.Second,
		WriteTimeout:      retrieveTimeout + 5*time.Second,
		IdleTimeout:       10 * time.Second,
		MaxHeaderBytes:    4 << 10, // net/http adds another 4 KiB
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelError),
	}
}

// observeHandler returns the handler for requests from outside the pod.
func observeHandler(p *irsa.Provider, registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", probes.Live)
	mux.HandleFunc("GET /readyz", probes.Ready(p))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	return mux
}

// uri returns the value of AWS_CONTAINER_CREDENTIALS_FULL_URI for the pod's programs.
func (s *sidecar) uri() string { return "http://" + s.credentials.Addr().String() + path }

// serve handles requests until ctx is done. It then waits up to shutdownTimeout for requests
// in progress.
func (s *sidecar) serve(ctx context.Context) error {
	ended := make(chan error, len(s.servers))
	for i, listener := range []net.Listener{s.credentials, s.health} {
		go func() { ended <- s.servers[i].Serve(listener) }()
	}
	var err error
	running := len(s.servers)
	select {
	case <-ctx.Done():
	case err = <-ended: // a listener has failed
		running--
	}
	shutdownCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	for _, server := range s.servers {
		if failed := server.Shutdown(shutdownCtx); failed != nil {
			err = errors.Join(err, failed, server.Close())
		}
	}
	for range running {
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
	}
	return err
}
