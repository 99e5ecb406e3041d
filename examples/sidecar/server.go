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

	"github.com/irsakit/irsakit/examples/observability/bounded"
	"github.com/irsakit/irsakit/examples/observability/probes"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsametrics"
)

// Limits of the servers. shutdownTimeout is how long requests in progress may continue after the
// sidecar is stopped. It exceeds the maximum time that a request waits for credentials.
const (
	shutdownTimeout = retrieveTimeout + 2*time.Second
	sendTimeout     = 5 * time.Second
	scrapeTimeout   = 5 * time.Second
	maxScrapes      = 1 // concurrently; the others wait, leaving CPU time for the other ports
)

// sidecar consists of three servers: one for credentials on loopback, one for the kubelet's probes,
// and one for Prometheus. They do not share connection slots, so that clients of one server cannot
// block those of another.
type sidecar struct{ credentials, health, metrics *bounded.Server }

// start starts listening. Requests are handled once serve is called.
func start(o options, p *irsa.Provider, metrics *irsametrics.Metrics) (*sidecar, error) {
	if o.connections < 1 {
		return nil, fmt.Errorf("-connections is %d; the minimum is 1", o.connections)
	}
	o.connections = fitConnections(o.connections, openFiles())
	tokens := authorization{o.tokenFile}
	if err := tokens.prepare(o.groupReads); err != nil {
		return nil, err
	}
	listeners, hosts, err := listen(o)
	if err != nil {
		return nil, err
	}
	rejected := newRejections()
	closed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "irsa_sidecar_closed_connections_total",
		Help: "Connections without a complete request that were closed to make room for others, by server.",
	}, []string{"server"})
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics, rejected.requests, closed)
	serve := func(i int, name string, handler http.Handler, options bounded.Options) *bounded.Server {
		options.Connections, options.Evicted = o.connections, closed.WithLabelValues(name).Inc
		return bounded.NewServer(listeners[i], handler, options)
	}
	e := &endpoint{provider: p, authorization: tokens, hosts: hosts, rejections: rejected}
	return &sidecar{
		credentials: serve(0, "credentials", e, bounded.Options{HeaderBytes: maxToken + 2<<10, Timeout: retrieveTimeout + sendTimeout, KeepAlive: true}),
		health:      serve(1, "health", healthHandler(p), bounded.Options{Timeout: sendTimeout}),
		metrics:     serve(2, "metrics", metricsHandler(registry), bounded.Options{Timeout: scrapeTimeout + sendTimeout}),
	}, nil
}

// fitConnections returns how many connections each server can have with the given number of open
// files. The remaining files are for STS, the tokens and the listeners.
func fitConnections(connections, files int) int {
	const others = 64
	fitting := max((files-others)/3, 1)
	if connections <= fitting {
		return connections
	}
	slog.Warn("fewer connections than -connections, because of the limit of open files", "connections", fitting, "open_files", files)
	return fitting
}

// listen listens on the addresses for credentials, probes and metrics. It also returns the accepted
// Host headers for credentials.
func listen(o options) (listeners [3]net.Listener, hosts []string, err error) {
	defer func() {
		for _, l := range listeners {
			if err != nil && l != nil {
				err = errors.Join(err, l.Close())
			}
		}
	}()
	if o.health == "" || o.metrics == "" { // net.Listen would choose a port on all interfaces
		return listeners, nil, errors.New("-health and -metrics need an address, such as :9911")
	}
	if listeners[0], hosts, err = listenOnLoopback(o.listen); err != nil {
		return listeners, nil, err
	}
	for i, address := range []string{o.health, o.metrics} {
		l, err := net.Listen("tcp", address) // #nosec G102 -- for the kubelet and Prometheus; it serves no secrets
		if err != nil {
			return listeners, nil, err
		}
		listeners[i+1] = l
	}
	return listeners, hosts, nil
}

// listenOnLoopback listens on a loopback address and returns the Host headers that name it. Any other
// address is an error.
func listenOnLoopback(address string) (net.Listener, []string, error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, nil, err
	}
	if !resolved.IP.IsLoopback() {
		return nil, nil, fmt.Errorf("%s is not a loopback address; only this pod may have the credentials", address)
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

// healthHandler returns the handler for the kubelet.
func healthHandler(p *irsa.Provider) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", probes.Live)
	mux.HandleFunc("GET /readyz", probes.Ready(p))
	return bounded.RejectBodies(mux)
}

// metricsHandler returns the handler for Prometheus. Scrapes wait for each other instead of being
// rejected, so that a flood of them does not block Prometheus. TimeoutHandler writes the response
// after the scrape, so that a slow reader does not delay others.
func metricsHandler(registry *prometheus.Registry) http.Handler {
	scrape := bounded.Queue(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), maxScrapes)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", http.TimeoutHandler(scrape, scrapeTimeout, "too many scrapes"))
	return bounded.RejectBodies(mux)
}

// uri returns the value of AWS_CONTAINER_CREDENTIALS_FULL_URI for the pod's programs.
func (s *sidecar) uri() string { return "http://" + s.credentials.Addr().String() + path }

// serve handles requests until ctx is done. It then waits up to shutdownTimeout for requests in
// progress.
func (s *sidecar) serve(ctx context.Context) error {
	servers := []*bounded.Server{s.credentials, s.health, s.metrics}
	ended := make(chan error, 2*len(servers)) // the results of Serve and Shutdown
	for _, server := range servers {
		go func() { ended <- server.Serve() }()
	}
	var err error
	running := len(servers)
	select {
	case <-ctx.Done():
	case err = <-ended: // a listener has failed
		running--
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	for _, server := range servers {
		running++
		go func() { ended <- server.Shutdown(ctx) }()
	}
	for range running {
		err = errors.Join(err, <-ended)
	}
	return err
}
