// Sidecar provides the pod's credentials to its other programs, in any language. It is an endpoint
// for AWS_CONTAINER_CREDENTIALS_FULL_URI, which the AWS SDKs support. A single cache serves all
// programs, refreshes early and keeps serving during STS outages.
//
// With -demo, it runs against the test kit, without an AWS account or a cluster.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsametrics"
)

// options holds the values of the command-line flags.
type options struct {
	listen, health, metrics, tokenFile string
	groupReads, insecure, demo         bool
	connections                        int
}

// After a signal, the program ends within exitTimeout, even if it hangs, for example on a file
// system. It then tries to print the error for at most printTimeout, because the reader of standard
// error may have stopped.
const (
	exitTimeout  = shutdownTimeout + 2*time.Second
	printTimeout = time.Second
)

// memoryLimit is the soft memory limit, unless the environment variable GOMEMLIMIT sets another. It
// keeps a flood of requests from reaching the container's limit.
const memoryLimit = 64 << 20

func main() {
	signal.Ignore(syscall.SIGPIPE) // a log that nobody reads must not end the program
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program immediately
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	o := parseFlags()
	ended := make(chan error, 1)
	go func() {
		if o.demo {
			ended <- runDemo(ctx, os.Stdout)
			return
		}
		ended <- run(ctx, o)
	}()
	if err := wait(ctx, ended, exitTimeout); err != nil {
		time.AfterFunc(printTimeout, func() { os.Exit(1) })
		fmt.Fprintln(os.Stderr, "sidecar:", err)
		os.Exit(1)
	}
}

// parseFlags exits with an error if any flag is invalid.
func parseFlags() options {
	var o options
	flag.StringVar(&o.listen, "listen", "127.0.0.1:9910", "loopback `address` of the credentials")
	flag.StringVar(&o.health, "health", ":9911", "`address` of /healthz and /readyz")
	flag.StringVar(&o.metrics, "metrics", ":9912", "`address` of /metrics")
	flag.StringVar(&o.tokenFile, "token-file", "/var/run/irsakit/token", "`file` of the authorization token; created if it does not exist")
	flag.BoolVar(&o.groupReads, "group-reads", false, "let the group read the token file, for programs that run as other users")
	flag.IntVar(&o.connections, "connections", 512, "maximum `number` of connections of each address")
	flag.BoolVar(&o.insecure, "insecure-endpoint", false, "accept an STS endpoint with http:// that is not on this machine")
	flag.BoolVar(&o.demo, "demo", false, "run against the test kit, without AWS")
	flag.Func("observe", "replaced by -health and -metrics", func(string) error { return errors.New("use -health and -metrics instead") })
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "sidecar: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	return o
}

// wait returns the result of the program. Once ctx is done, it waits for at most limit.
func wait(ctx context.Context, ended <-chan error, limit time.Duration) error {
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(limit):
		return fmt.Errorf("still running %v after the signal", limit)
	}
}

// run serves credentials until ctx is done.
func run(ctx context.Context, o options, optFns ...func(*irsa.Options)) error {
	metrics := irsametrics.New()
	p, err := irsa.New(append(optFns, func(opts *irsa.Options) { opts.Observe, opts.InsecureEndpoint = metrics.Observe, o.insecure })...)
	if err != nil {
		return err
	}
	defer p.Close()
	metrics.Add(p)
	s, err := start(o, p, metrics)
	if err != nil {
		return err
	}
	slog.Info("serving credentials", "uri", s.uri(), "token_file", o.tokenFile,
		"health", s.health.Addr().String(), "metrics", s.metrics.Addr().String())
	return s.serve(ctx)
}
