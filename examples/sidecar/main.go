// Sidecar provides the pod's credentials to the pod's other programs, in any language. It is
// an endpoint for AWS_CONTAINER_CREDENTIALS_FULL_URI, which the AWS SDKs support. One cache
// serves all programs, refreshes early and keeps serving during STS outages.
//
// With -demo it runs against the test kit, without an AWS account or a cluster.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsametrics"
)

// options contains the values of the command line flags.
type options struct {
	listen, observe, tokenFile string
	groupReads, insecure       bool
	connections                int
}

func main() {
	var o options
	flag.StringVar(&o.listen, "listen", "127.0.0.1:9910", "loopback `address` of the credentials")
	flag.StringVar(&o.observe, "observe", ":9911", "`address` of /healthz, /readyz and /metrics")
	flag.StringVar(&o.tokenFile, "token-file", "/var/run/irsakit/token", "`file` of the authorization token, which is made if it is not there")
	flag.BoolVar(&o.groupReads, "group-reads", false, "let the group read the token file, where the programs run as other users")
	flag.IntVar(&o.connections, "connections", 1024, "how many connections are served at the same time")
	flag.BoolVar(&o.insecure, "insecure-endpoint", false, "accept an STS endpoint with http:// that is not on this machine")
	demo := flag.Bool("demo", false, "show it at work, without AWS")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	command := func() error { return run(ctx, o) }
	if *demo {
		command = func() error { return runDemo(ctx, os.Stdout) }
	}
	err := command()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sidecar:", err)
		os.Exit(1)
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
	slog.Info("serving credentials", "uri", s.uri(), "token_file", o.tokenFile, "health", s.health.Addr().String())
	return s.serve(ctx)
}
