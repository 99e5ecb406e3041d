package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/irsakit/irsakit/examples/sidecar/flood"
)

// Intervals and timeouts for the authorized client, the kubelet and Prometheus. The timeouts of the
// kubelet and Prometheus are their defaults.
const (
	requestInterval = 20 * time.Millisecond
	probeInterval   = 100 * time.Millisecond
	timeout         = time.Second
	scrapeTimeout   = 10 * time.Second
)

// floodOptions are the flags of a flood.
type floodOptions struct {
	kind      string        // the only kind to run, or "" for all
	clients   int           // without the token, per port
	reconnect time.Duration // minimum interval between a client's connections
}

// measureFloods measures a new sidecar for each kind of flood.
func measureFloods(ctx context.Context, o floodOptions, duration time.Duration) error {
	var failed error
	for _, kind := range flood.Kinds() {
		if o.kind != "" && o.kind != kind.Name {
			continue
		}
		if err := measureFlood(ctx, kind, o, duration); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", kind.Name, err))
		}
	}
	return failed
}

func measureFlood(ctx context.Context, kind flood.Kind, o floodOptions, duration time.Duration) error {
	s, err := startSidecar(ctx)
	if err != nil {
		return err
	}
	stopFlood, err := startFlood(ctx, s, kind, o)
	if err != nil {
		return errors.Join(err, s.stop())
	}
	var requests, probes, scrapes *result
	var all sync.WaitGroup
	all.Go(func() { requests = sendEach(ctx, requestInterval, timeout, duration, s.uri, s.token) })
	all.Go(func() { probes = sendEach(ctx, probeInterval, timeout, duration, "http://"+s.health+"/healthz", "") })
	all.Go(func() {
		scrapes = sendEach(ctx, probeInterval, scrapeTimeout, duration, "http://"+s.metrics+"/metrics", "")
	})
	all.Wait()
	start := time.Now()
	err = s.stop()
	ended := time.Since(start)
	connections, floodErr := stopFlood()
	fmt.Printf("%-14s %6s connections; requests %v; probes %v; scrapes %v; ended in %.1fs, CPU %.1fs\n",
		kind.Name, connections, requests.short(), probes.short(), scrapes.short(), ended.Seconds(), s.cpu().Seconds())
	return errors.Join(err, floodErr, requests.err, probes.err, scrapes.err)
}

// startFlood starts a process with the clients of a flood, and waits until each client has connected.
// Using a separate process keeps them from delaying the authorized client. The returned function
// stops the process and returns the number of connections.
func startFlood(ctx context.Context, s *process, kind flood.Kind, o floodOptions) (func() (string, error), error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, executable, "-flood", strconv.Itoa(o.clients), "-reconnect", o.reconnect.String(), kind.Name, s.credentials, s.health, s.metrics) // #nosec G204
	command.Env, command.Stderr = append(os.Environ(), "LOAD=1"), os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(stdout)
	lines.Scan() // all clients have connected
	return func() (string, error) {
		err := command.Process.Signal(os.Interrupt)
		lines.Scan()
		return lines.Text(), errors.Join(err, command.Wait())
	}, nil
}

// runFlood runs in the process of startFlood. It prints a line when each client has connected, and
// the number of connections at the end.
func runFlood(ctx context.Context, arguments []string, o floodOptions) error {
	kinds := flood.Kinds()
	i := slices.IndexFunc(kinds, func(k flood.Kind) bool { return k.Name == arguments[0] })
	if i < 0 || len(arguments) != 4 {
		return fmt.Errorf("unknown flood %q", arguments)
	}
	var floods []*flood.Flood
	for j, target := range []string{"/credentials", "/healthz", "/metrics"} {
		floods = append(floods, flood.Start(ctx, kinds[i], o.clients, o.reconnect, arguments[j+1], target))
	}
	connections := func() (n int64) {
		for _, f := range floods {
			n += f.Connections()
		}
		return n
	}
	for connections() < int64(3*o.clients) && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("connected")
	<-ctx.Done()
	for _, f := range floods {
		f.Wait()
	}
	fmt.Println(connections())
	return nil
}

// sendEach sends requests sequentially, each over a new connection.
func sendEach(ctx context.Context, interval, timeout, duration time.Duration, url, token string) *result {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: timeout}
	r := &result{}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < duration && ctx.Err() == nil; <-tick.C {
		sent := time.Now()
		if err := get(ctx, client, url, token); err != nil {
			r.errors++
			r.err = err
		}
		r.latencies = append(r.latencies, time.Since(sent))
	}
	slices.Sort(r.latencies)
	return r
}

// short returns a summary for use within a line.
func (r *result) short() string {
	return fmt.Sprintf("%d, %d failed, longest %v", len(r.latencies), r.errors, r.quantile(1))
}
