// Load measures a sidecar that runs as a separate process against the test kit. It sends requests
// at a constant rate and prints latencies and errors.
//
//	go -C examples/sidecar run ./load -rate 5000 -for 30s
//
// With -flood, clients without the token meanwhile keep all three ports busy, one kind of client at
// a time. The program prints a line for each kind with the latencies of authorized requests,
// liveness probes and scrapes, each over a new connection, how long the sidecar took to end, and
// its CPU time. With -reconnect 0, these clients reconnect immediately.
//
//	go -C examples/sidecar run ./load -flood 1024 -for 5s
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync"
	"time"
)

func main() {
	rate := flag.Int("rate", 5000, "requests a `second`, 1 to 1,000,000")
	duration := flag.Duration("for", 30*time.Second, "`duration` of the load, or of each kind of flood")
	var o floodOptions
	flag.IntVar(&o.clients, "flood", 0, "`number` of clients without the token on each port")
	flag.StringVar(&o.kind, "kind", "", "the only `kind` of these clients; the default is one after the other")
	flag.DurationVar(&o.reconnect, "reconnect", time.Second, "how often each of them connects, at most; 0 is as often as it can")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var err error
	switch {
	case flag.NArg() > 0: // run by startFlood
		err = runFlood(ctx, flag.Args(), o)
	case o.clients > 0:
		err = measureFloods(ctx, o, *duration)
	default:
		err = measure(ctx, *rate, *duration)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, rate int, duration time.Duration) error {
	s, err := startSidecar(ctx)
	if err != nil {
		return err
	}
	r := generateLoad(ctx, s.uri, s.token, rate, duration)
	fmt.Print(r)
	return errors.Join(s.stop(), r.err)
}

// maxRate is higher than the clients can reach. It keeps the interval above 0, because the load would
// never end with an interval of 0.
const maxRate = 1_000_000

// numClients is the number of concurrent clients, each with its own connection.
const numClients = 64

// result holds the results of all clients.
type result struct {
	latencies []time.Duration
	errors    int
	err       error // errors of the clients, at most one per client
	duration  time.Duration
}

// generateLoad sends requests at the given rate. Latency is measured from when a request was
// scheduled to start, even if it was delayed by the client's previous request.
func generateLoad(ctx context.Context, uri, token string, rate int, duration time.Duration) *result {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: numClients}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	r := &result{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := time.Now()
	interval := time.Second * numClients / time.Duration(min(max(rate, 1), maxRate))
	for i := range numClients {
		wg.Go(func() {
			var own result
			for due := start.Add(interval * time.Duration(i) / numClients); due.Sub(start) < duration && ctx.Err() == nil; due = due.Add(interval) {
				time.Sleep(time.Until(due))
				err := get(ctx, client, uri, token)
				own.latencies = append(own.latencies, time.Since(due))
				if err != nil {
					own.errors++
					own.err = err
				}
			}
			mu.Lock()
			defer mu.Unlock()
			r.latencies, r.errors = append(r.latencies, own.latencies...), r.errors+own.errors
			r.err = errors.Join(r.err, own.err)
		})
	}
	wg.Wait()
	r.duration = time.Since(start)
	slices.Sort(r.latencies)
	return r
}

func get(ctx context.Context, client *http.Client, url, token string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", token)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// quantile returns a quantile of the latencies, which must be sorted.
func (r *result) quantile(q float64) time.Duration {
	if len(r.latencies) == 0 {
		return 0
	}
	return r.latencies[min(int(q*float64(len(r.latencies))), len(r.latencies)-1)].Round(10 * time.Microsecond)
}

// String returns a one-line summary.
func (r *result) String() string {
	return fmt.Sprintf("%d requests in %v (%.0f a second), %d errors, p50 %v, p99 %v, p99.9 %v, longest %v\n",
		len(r.latencies), r.duration.Round(time.Millisecond), float64(len(r.latencies))/r.duration.Seconds(), r.errors,
		r.quantile(0.5), r.quantile(0.99), r.quantile(0.999), r.quantile(1))
}
