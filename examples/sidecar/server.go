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

	"github.com/irsakit/irsakit/examples/observability/irsametrics"
	"github.com/irsakit/irsakit/examples/observability/probes"
	"github.com/irsakit/irsakit/irsa"
)

// farewell is how long requests under way may take after the end: longer than any may.
const farewell = patience + 2*time.Second

// sidecar is two servers: the credentials on loopback, and what the kubelet and Prometheus
// ask for, who come from outside of the pod.
type sidecar struct {
	credentials, health net.Listener
	servers             [2]*http.Server
}

// start listens. Nothing is answered before serve.
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
	health, err := net.Listen("tcp", o.observe) // #nosec G102 -- for the kubelet, and no secret is there
	if err != nil {
		return nil, errors.Join(err, credentials.Close())
	}
	watched := bounded(observe(p, registry))
	watched.SetKeepAlivesEnabled(false) // a connection that is kept would be a place less for the kubelet
	return &sidecar{
		credentials: netutil.LimitListener(credentials, o.connections),
		health:      netutil.LimitListener(health, o.connections),
		servers:     [2]*http.Server{bounded(&endpoint{provider: p, authorization: tokens, hosts: hosts}), watched},
	}, nil
}

// listenOnLoopback listens, on a loopback address only, and returns the Host headers of
// those who mean it.
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

// bounded is a server that nobody can hold for long, or fill.
func bounded(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           http.MaxBytesHandler(handler, 0), // no request has a body
		ReadHeaderTimeout: time.Second,                      // a program of the same pod, or the kubelet, needs no longer
		ReadTimeout:       time.Second,
		WriteTimeout:      patience + 5*time.Second,
		IdleTimeout:       10 * time.Second,
		MaxHeaderBytes:    4 << 10, // to which net/http adds as much
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelError),
	}
}

// observe is what can be seen from outside of the pod.
func observe(p *irsa.Provider, registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", probes.Live)
	mux.HandleFunc("GET /readyz", probes.Ready(p))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	return mux
}

// uri is what the pod's programs have as AWS_CONTAINER_CREDENTIALS_FULL_URI.
func (s *sidecar) uri() string { return "http://" + s.credentials.Addr().String() + path }

// serve answers until ctx ends, and then lets the requests under way end.
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
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	for _, server := range s.servers {
		if shut := server.Shutdown(last); shut != nil {
			err = errors.Join(err, shut, server.Close())
		}
	}
	for range running {
		if end := <-ended; !errors.Is(end, http.ErrServerClosed) {
			err = errors.Join(err, end)
		}
	}
	return err
}
