// Controller reconciles the custom resources of many tenants with credentials of roles in three AWS
// accounts. It runs twice concurrently, with an irsa.Pool and with SDK providers created for each
// reconciliation, and prints what both cost. It does not need AWS or Kubernetes.
//
//	go -C examples/controller run .
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

const (
	region   = "us-west-2"
	tenants  = 10
	latency  = 50 * time.Millisecond // how long STS takes
	lifetime = 45 * time.Second      // 15 minutes to 12 hours in AWS

	// With a Pool, an exchange continues when a reconciliation stops waiting, and the next
	// reconciliation uses its result. Without a Pool, the exchange also ends, so a reconciliation
	// must allow it as much time as the Pool does with AttemptTimeout.
	poolTimeout = 200 * time.Millisecond
	sdkTimeout  = 10 * time.Second
)

func main() {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the failures are intentional
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program immediately
	err := run(ctx, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "controller:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	withPool, err := irsatest.Start()
	if err != nil {
		return err
	}
	defer withPool.Close()
	withSDK, err := irsatest.Start()
	if err != nil {
		return err
	}
	defer withSDK.Close()
	return compare(ctx, out, withPool, withSDK)
}

// compare runs both controllers and prints what they did.
func compare(ctx context.Context, out io.Writer, withPool, withSDK *irsatest.Cluster) error {
	fmt.Fprintf(out, "%d tenants, %d workers; STS takes %v. This takes a minute.\n\n", tenants, workers, latency)
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) { // in a pod, no options are needed
		o.Region, o.Endpoint, o.HTTPClient = region, withPool.STS.Endpoint(), withPool.HTTPClient()
	})
	if err != nil {
		return err
	}
	defer pool.Close()
	cfg := aws.Config{Region: region, HTTPClient: withSDK.HTTPClient()}
	if endpoint := withSDK.STS.Endpoint(); endpoint != "" {
		cfg.BaseEndpoint = &endpoint
	}

	var sides [2]*side
	for i, kit := range []*irsatest.Cluster{withPool, withSDK} {
		if sides[i], err = newSide(kit); err != nil {
			return err
		}
	}
	left, right := sides[0], sides[1]
	left.controller = newController(left.cluster.api(), fromPool(pool, left.cluster.api()), poolTimeout)
	right.controller = newController(right.cluster.api(), fromSDK(cfg, right.cluster.api()), sdkTimeout)
	var both sync.WaitGroup
	for _, s := range sides {
		both.Go(func() { s.run(ctx) })
	}
	both.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	printTable(out, left, right)
	for _, c := range left.denied.conditions {
		fmt.Fprintf(out, "\n%s: %s=%s %s\n%s\n", left.denied.namespace, c.Type, c.Status, c.Reason, c.Message)
	}
	return nil
}

// printTable prints the counts of both sides.
func printTable(out io.Writer, left, right *side) {
	row := func(name string, value func(*side) any) {
		fmt.Fprintf(out, "  %-36s %10v %15v\n", name, value(left), value(right))
	}
	fmt.Fprintf(out, "%-38s %10v %15v\n", "", "irsa.Pool", "SDK providers")
	fmt.Fprintf(out, "%v of work\n", workTime)
	row("reconciliations", func(s *side) any { return s.work.reconciliations })
	row("waited for STS", func(s *side) any { return s.work.waited })
	row("STS calls", func(s *side) any { return s.work.stsCalls })
	row("TokenRequests", func(s *side) any { return s.work.tokenRequests })
	fmt.Fprintf(out, "%v of 503\n", outageTime)
	row("reconciliations", func(s *side) any { return s.outage.reconciliations })
	row("errors", func(s *side) any { return s.outage.errors })
	row("STS calls", func(s *side) any { return s.outage.stsCalls })
	fmt.Fprintf(out, "%v in which the STS calls of one tenant hang\n", hangTime)
	row("reconciliations of healthy tenants", func(s *side) any { return s.hang.reconciliations })
	row("their longest wait", func(s *side) any { return s.hang.longest.Round(10 * time.Millisecond) })
}
