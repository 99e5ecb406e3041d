// S3 uploads and downloads objects, and presigns URLs for them, with the credentials of a pod.
// Without arguments, it demonstrates all three on a loopback S3, without an AWS account. See
// README.md.
//
//	go -C examples/s3 run .
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/irsakit/irsakit/irsa"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program immediately
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run executes the command in args. In a pod, irsa.New does not need options.
func run(ctx context.Context, args []string, out io.Writer, optFns ...func(*irsa.Options)) error {
	c, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, usage)
		return nil
	case err != nil:
		return fmt.Errorf("s3: %w\n%s", err, usage)
	case c.verb == "demo":
		return demo(ctx, out)
	}
	return c.run(ctx, out, optFns...)
}
