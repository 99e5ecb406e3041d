// Scale measures what thousands of roles cost one process: a Pool of package irsa beside
// as many providers of the SDK's own, and beside static credentials, on the same STS in
// another process.
//
//	go run ./internal/scale -roles 10000
//
// Every role is asked for once a second, and its credentials live so shortly that all of
// them are refreshed within the run.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"time"
)

// plan is what is measured.
type plan struct {
	roles   int
	life    time.Duration
	run     time.Duration
	latency time.Duration
}

func main() {
	if os.Getenv(childVariable) != "" {
		if err := serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "scale: the STS:", err)
			os.Exit(1)
		}
		return
	}
	slog.SetDefault(slog.New(slog.DiscardHandler))
	var p plan
	flag.IntVar(&p.roles, "roles", 10_000, "how many `roles`")
	flag.DurationVar(&p.life, "life", 120*time.Second, "how long credentials live")
	flag.DurationVar(&p.run, "run", 124*time.Second, "how long each of them is asked for; with the first load less than 1.2 lives, so that every contender refreshes once")
	flag.DurationVar(&p.latency, "latency", 50*time.Millisecond, "how long STS takes to answer")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := measureAll(ctx, p, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

// measureAll measures each contender and prints a line for it.
func measureAll(ctx context.Context, p plan, out io.Writer) error {
	server, err := startSTS(ctx, p)
	if err != nil {
		return err
	}
	defer server.stop()
	fmt.Fprintf(out, "%d roles, lives of %v, %v of one request a second for each, STS answers after %v\n\n", p.roles, p.life, p.run, p.latency)
	fmt.Fprintf(out, "%-8s %10s %9s %9s %11s %11s %12s %9s %10s %8s %9s\n",
		"", "first load", "heap/role", "goroutines", "calls", "peak calls", "connections", "requests", ">10 ms", "longest", "CPU")
	for _, c := range contenders() {
		r, err := measure(ctx, p, server, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Fprintf(out, "%-8s %10s %7d B %10d %11d %11d %12d %9d %10d %8s %9s\n", c.name,
			r.firstLoad.Round(10*time.Millisecond), r.heap, r.goroutines, r.calls, r.peakCalls, r.connections, r.requests, r.slow,
			r.longest.Round(10*time.Microsecond), r.cpu.Round(10*time.Millisecond))
	}
	return nil
}
