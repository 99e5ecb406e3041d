// Load holds a rate of requests against the sidecar, as a process of its own on the test
// kit, and tells how it did.
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
	long := flag.Duration("for", 30*time.Second, "how long")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := measure(ctx, *rate, *long)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, rate int, long time.Duration) (err error) {
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
	k.STS.SetLife(15 * time.Second) // so that it refreshes all the time
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	uri, end, err := startSidecar(ctx, folder, pod.Environ())
	if err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(folder, "token")) // #nosec G304 -- of this program's making
	if err != nil {
		return errors.Join(err, end())
	}
	r := hold(ctx, uri, strings.TrimSpace(string(token)), rate, long)
	fmt.Print(r)
	return errors.Join(end(), r.err)
}

// startSidecar builds the sidecar, starts it, and waits until it is ready.
func startSidecar(ctx context.Context, folder string, environment []string) (uri string, end func() error, err error) {
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
	end = func() error { return errors.Join(sidecar.Process.Signal(syscall.SIGTERM), sidecar.Wait()) }
	for range 100 {
		if get(ctx, http.DefaultClient, "http://"+health+"/readyz", "") == nil {
			return "http://" + credentials + "/credentials", end, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "", nil, errors.Join(errors.New("the sidecar does not get ready"), end())
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// maxRate is more than the programs reach; a pace of 0 would never end.
const maxRate = 1_000_000

// programs ask at the same time, each over a connection of its own.
const programs = 64

// result is what the programs met.
type result struct {
	took   []time.Duration
	errors int
	err    error // the first
	long   time.Duration
}

// hold lets the programs ask at that rate. A request that begins late because the one
// before it took long counts from when it should have begun.
func hold(ctx context.Context, uri, token string, rate int, long time.Duration) *result {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: programs}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	r := &result{}
	var mu sync.Mutex
	var all sync.WaitGroup
	begin := time.Now()
	pace := time.Second * programs / time.Duration(min(max(rate, 1), maxRate))
	for program := range programs {
		all.Go(func() {
			var mine result
			for due := begin.Add(pace * time.Duration(program) / programs); due.Sub(begin) < long && ctx.Err() == nil; due = due.Add(pace) {
				time.Sleep(time.Until(due))
				err := get(ctx, client, uri, token)
				mine.took = append(mine.took, time.Since(due))
				if err != nil {
					mine.errors++
					mine.err = err
				}
			}
			mu.Lock()
			defer mu.Unlock()
			r.took, r.errors = append(r.took, mine.took...), r.errors+mine.errors
			r.err = errors.Join(r.err, mine.err)
		})
	}
	all.Wait()
	r.long = time.Since(begin)
	slices.Sort(r.took)
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

// String is a line for a terminal.
func (r *result) String() string {
	at := func(share float64) time.Duration {
		if len(r.took) == 0 {
			return 0
		}
		return r.took[min(int(share*float64(len(r.took))), len(r.took)-1)].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("%d requests in %v (%.0f a second), %d errors, p50 %v, p99 %v, p99.9 %v, longest %v\n",
		len(r.took), r.long.Round(time.Millisecond), float64(len(r.took))/r.long.Seconds(), r.errors, at(0.5), at(0.99), at(0.999), at(1))
}
