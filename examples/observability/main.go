// Observability shows how to monitor a pod's credentials with Prometheus metrics and alert rules,
// probes, a JSON log, and OpenTelemetry traces and metrics of each STS request. It does not need an
// AWS account, because package irsatest provides the OIDC issuer, the token volume and the STS.
//
//	go -C examples/observability run .
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/irsakit/irsakit/examples/observability/bounded"
	"github.com/irsakit/irsakit/examples/observability/probes"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsametrics"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "`address` of /metrics, /healthz and /readyz")
	serve := flag.Bool("serve", false, "keep serving after the demonstration, until interrupted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program immediately
	err := run(ctx, os.Stdout, *listen, *serve)
	if err != nil {
		fmt.Fprintln(os.Stderr, "observability:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, listen string, serve bool) (err error) {
	kit, err := irsatest.Start()
	if err != nil {
		return err
	}
	defer kit.Close()
	kit.STS.SetLifetime(10 * time.Second) // causes a refresh within seconds
	cart := kit.ServiceAccount("shop", "cart")
	pod := kit.Pod(cart, kit.Role("s3-writer", irsatest.Trust(cart)))

	// An application does the same, but does not need pod.Options in a pod.
	metrics, telemetry := irsametrics.New(), newTelemetry()
	defer func() { err = errors.Join(err, telemetry.shutdown(context.WithoutCancel(ctx))) }()
	p, err := irsa.New(pod.Options, telemetry.options, func(o *irsa.Options) {
		o.Logger = slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Observe = metrics.Observe
	})
	if err != nil {
		return err
	}
	defer p.Close()
	metrics.Add(p)
	url, shutdown, err := start(ctx, listen, handler(p, metrics))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shutdown()) }()

	demo := &demo{kit: kit, pod: pod, provider: p, telemetry: telemetry, url: url, out: out}
	if err := demo.run(ctx); err != nil || !serve {
		return err
	}
	fmt.Fprintf(out, "\nserving %s/metrics, %[1]s/healthz and %[1]s/readyz until interrupted\n", url)
	<-ctx.Done()
	return nil
}

// Limits of the server. A scrape reads the Status of each Provider without taking locks, but
// formatting it takes time and memory.
const (
	maxConnections  = 256
	maxScrapes      = 4
	scrapeTimeout   = 5 * time.Second
	shutdownTimeout = 5 * time.Second
)

// handler returns a handler for metrics and probes.
func handler(p *irsa.Provider, metrics *irsametrics.Metrics) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	mux := http.NewServeMux()
	scrape := bounded.Queue(promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry}), maxScrapes)
	mux.Handle("GET /metrics", http.TimeoutHandler(scrape, scrapeTimeout, "too many scrapes")) // writes only after the scrape
	mux.HandleFunc("GET /healthz", probes.Live)
	mux.HandleFunc("GET /readyz", probes.Ready(p))
	return bounded.RejectBodies(mux)
}

// start serves h at address. The returned function shuts down the server. It waits up to
// shutdownTimeout for requests in progress, and until the server has stopped.
func start(ctx context.Context, address string, h http.Handler) (url string, shutdown func() error, err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return "", nil, err
	}
	server := bounded.NewServer(listener, h, bounded.Options{Connections: maxConnections, Timeout: 2 * scrapeTimeout})
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	return "http://" + listener.Addr().String(), func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		return errors.Join(server.Shutdown(ctx), <-served)
	}, nil
}
