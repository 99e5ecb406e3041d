// Fallback prints which credentials a program uses: IRSA in a pod with the webhook's variables, EKS
// Pod Identity in a pod with an association, and the SDK's default credentials elsewhere. With
// -demo, it shows all cases using the test kit and a fake Pod Identity agent, without an AWS
// account.
//
//	go -C examples/fallback run . -demo
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func main() {
	showDemo := flag.Bool("demo", false, "show all cases, without AWS")
	flag.Parse()
	run := identify
	if *showDemo {
		run = demo
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program immediately
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fallback:", err)
		os.Exit(1)
	}
}

// identify prints the identity of the credentials.
func identify(ctx context.Context, out io.Writer) error {
	cfg, credentials, err := loadConfig(ctx)
	if err != nil {
		return err
	}
	defer credentials.Close() //nolint:errcheck // the program exits
	identity, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, *identity.Arn)
	return nil
}
