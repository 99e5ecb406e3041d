// Quickstart runs irsakit and the provider of aws-sdk-go-v2 side by side, in less than twenty
// seconds. Two pods obtain credentials from the same STS, from the first credentials through a
// refresh, a token rotation and an STS outage to the recovery. A table compares what callers in the
// pods observed. Package irsatest provides the tokens and the STS on the loopback interface.
//
//	go run ./examples/quickstart
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program immediately
	os.Exit(exitCode(os.Stderr, run(ctx, os.Stdout)))
}

// exitCode prints err if it is not nil, and returns the program's exit code.
func exitCode(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "quickstart: interrupted")
		return 130
	}
	fmt.Fprintln(stderr, "quickstart:", err)
	return 1
}

func run(ctx context.Context, out io.Writer) (err error) {
	screen := &screen{start: time.Now(), out: out}
	slog.SetDefault(slog.New(screen)) // the library uses the default logger

	// The EKS and AWS side: a service account, two roles that trust it, and two pods.
	kit, err := irsatest.Start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kit.Close()) }()
	ours, theirs := newPods(kit)
	setEnvironment(ours)

	// The application side, in the first pod. This is all it needs.
	p, err := irsa.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	cfg := p.AWSConfig() // pass it to s3.NewFromConfig, or to any other service client

	sdk := newSDKProvider(theirs, sts.Options{BaseEndpoint: aws.String(kit.STS.Endpoint())})
	return (&demo{kit: kit, screen: screen, provider: p,
		ours:   &callers{name: "irsakit", pod: ours, credentials: cfg.Credentials}, // as used by clients
		theirs: &callers{name: "SDK", pod: theirs, credentials: sdk},
	}).run(ctx)
}

// newPods returns two pods of a service account. Each has its own role, to tell their STS calls
// apart.
func newPods(kit *irsatest.Cluster) (ours, theirs *irsatest.Pod) {
	cart := kit.ServiceAccount("shop", "cart")
	return kit.Pod(cart, kit.Role("cart-irsakit", irsatest.Trust(cart))),
		kit.Pod(cart, kit.Role("cart-sdk", irsatest.Trust(cart)))
}

// newSDKProvider returns the credentials that the SDK's config.LoadDefaultConfig sets up in a pod,
// which is the web identity provider in a cache, both with default options.
func newSDKProvider(pod *irsatest.Pod, o sts.Options) aws.CredentialsProvider {
	o.Region = pod.Region()
	token := stscreds.IdentityTokenFile(pod.TokenFile())
	return aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(sts.New(o), pod.RoleARN(), token))
}

// setEnvironment sets the variables that the EKS webhook sets in a pod, after unsetting the
// developer's own AWS variables. Neither can fail for these names.
func setEnvironment(pod *irsatest.Pod) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			_ = os.Unsetenv(name)
		}
	}
	for _, variable := range pod.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		_ = os.Setenv(name, value)
	}
}
