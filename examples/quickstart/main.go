// Quickstart shows what package irsa does, in some twelve seconds and without an
// AWS account: a pod's credentials come, are refreshed in the background, follow the
// rotated token and outlive an outage of STS, while callers ask for them all the
// time and never wait after the first of them came.
//
// The OIDC issuer, the token volume and the STS are those of package irsatest, on
// the loopback interface: tokens, signatures and the STS protocol are real, only the
// lives are short. The program fails if something that it claims did not happen.
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
	err := run(ctx, os.Stdout, life)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, life time.Duration) error {
	screen := newScreen(out, viewOf(out))
	log := newJournal(screen)
	slog.SetDefault(slog.New(log)) // where the library logs

	// What EKS and AWS do: a service account, a role that trusts it, a pod.
	kit, err := irsatest.Start()
	if err != nil {
		return err
	}
	defer kit.Close()
	cart := kit.ServiceAccount("shop", "cart")
	pod := kit.Pod(cart, kit.Role("s3-writer", irsatest.Trust(cart)))
	if err := enter(pod); err != nil {
		return err
	}

	// What an application in the pod does. This is all.
	p, err := irsa.New()
	if err != nil {
		return err
	}
	defer p.Close()
	cfg := p.AWSConfig() // for s3.NewFromConfig(cfg), or any other service's client

	return (&show{
		kit: kit, pod: pod, provider: p, life: life, patience: patience,
		callers: &callers{credentials: cfg.Credentials}, // asked for every request that is signed
		log:     log, screen: screen,
	}).play(ctx)
}

// enter sets the variables that the EKS webhook sets in a pod, and unsets those of
// the developer's own AWS account.
func enter(pod *irsatest.Pod) error {
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
