// Load sends requests at a constant rate to a sidecar that runs as a separate process
// against the test kit, and prints the latencies and errors.
//
//	go -C examples/sidecar run ./load -rate 5000 -for 30s
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func main() {
	rate := flag.Int("rate", 5000, "requests a `second`, 1 to 1,000,000")
	duration := flag.Duration("for", 30*time.Second, "how long")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := measure(ctx, *rate, *duration)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, rate int, duration time.Duration) (err error) {
	k, err := irsatest.Start()
	if err != nil {
		return err
	}
	defer k.Close()
	folder, err := os.MkdirTemp("", "load")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	k.STS.SetLifetime(15 * time.Second) // so that the sidecar refreshes continuously
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	uri, stop, err := startSidecar(ctx, folder, pod.Environ())
	if err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(folder, "token")) // #nosec G304 -- the path is made by this program
	if err != nil {
		return errors.Join(err, stop())
	}
	r := generateLoad(ctx, uri, strings.TrimSpace(string(token)), rate, duration)
	fmt.Print(r)
	return errors.Join(stop(), r.err)
}

// startSidecar builds the sidecar, starts it, and waits until it is ready.
func startSidecar(ctx context.Context, folder string, environment []string) (uri string, stop func() error, err error) {
	binary := filepath.Join(folder, "sidecar")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/irsakit/irsakit/examples/sidecar") // #nosec G204
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", nil, fmt.Errorf("run it in the folder of the sidecar's module: %w", err)
	}
	credentials, err := freeAddress()
	if err != nil {
		return "", nil, err
	}
	health, err := freeAddress()
	if err != nil {
		return "", nil, err
	}
	sidecar := exec.CommandContext(ctx, binary, "-listen", credentials, "-observe", health, "-token-file", filepath.Join(folder, "token")) // #nosec G204
	sidecar.Env, sidecar.Stderr = append(os.Environ(), environment...), os.Stderr
	if err := sidecar.Start(); err != nil {
		return "", nil, err
	}
	stop = func() error { return errors.Join(sidecar.Process.Signal(syscall.SIGTERM), sidecar.Wait()) }
	for range 100 {
		if get(ctx, http.DefaultClient, "http://"+health+"/readyz", "") == nil {
			return "http://" + credentials + "/credentials", stop, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "", nil, errors.Join(errors.New("the sidecar does not get ready"), stop())
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// maxRate is more than the clients can reach. It keeps the interval above 0, because the load
// would never end with an interval of 0.
const maxRate = 1_000_000

// numClients is the number of concurrent clients, each with its own connection.
const numClients = 64

// result contains the results of all clients.
type result struct {
	latencies []time.Duration
	errors    int
	err       error // the errors of the clients, at most one for each
	duration  time.Duration
}

// generateLoad sends requests at the given rate. Latency is measured from the scheduled
// start of a request, even if the previous request of the client delayed it.
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

// String returns a summary of one line.
func (r *result) String() string {
	quantile := func(q float64) time.Duration {
		if len(r.latencies) == 0 {
			return 0
		}
		return r.latencies[min(int(q*float64(len(r.latencies))), len(r.latencies)-1)].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("%d requests in %v (%.0f a second), %d errors, p50 %v, p99 %v, p99.9 %v, longest %v\n",
		len(r.latencies), r.duration.Round(time.Millisecond), float64(len(r.latencies))/r.duration.Seconds(), r.errors,
		quantile(0.5), quantile(0.99), quantile(0.999), quantile(1))
}
