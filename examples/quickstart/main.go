// Quickstart shows what package irsa does, in about twelve seconds and without an AWS
// account. A pod's credentials are obtained, refreshed in the background and refreshed with
// a rotated token, and they survive an STS outage. Meanwhile callers retrieve credentials
// continuously, and never wait after the first ones are available.
//
// Package irsatest provides the OIDC issuer, the token volume and the STS on the loopback
// interface. Tokens, signatures and the STS protocol are real; only the lifetimes are short.
// The program fails if an expected result does not occur.
//
//	go run ./examples/quickstart
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, lifetime)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, lifetime time.Duration) error {
	screen := newScreen(out, detectView(out))
	log := newLogHandler(screen)
	slog.SetDefault(slog.New(log)) // the library logs to the default logger

	// The part of EKS and AWS: a service account, a role that trusts it, and a pod.
	kit, err := irsatest.Start()
	if err != nil {
		return err
	}
	defer kit.Close()
	cart := kit.ServiceAccount("shop", "cart")
	pod := kit.Pod(cart, kit.Role("s3-writer", irsatest.Trust(cart)))
	if err := setEnvironment(pod); err != nil {
		return err
	}

	// The part of the application in the pod. It needs nothing else.
	p, err := irsa.New()
	if err != nil {
		return err
	}
	defer p.Close()
	cfg := p.AWSConfig() // for s3.NewFromConfig(cfg), or any other service's client

	return (&demo{
		kit: kit, pod: pod, provider: p, lifetime: lifetime, timeout: timeout,
		callers: &callers{credentials: cfg.Credentials}, // SDK clients use these for every signed request
		log:     log, screen: screen,
	}).run(ctx)
}

// setEnvironment sets the variables that the EKS webhook sets in a pod. It first unsets the
// developer's own AWS variables.
func setEnvironment(pod *irsatest.Pod) error {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	for _, variable := range pod.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}
