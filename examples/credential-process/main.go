// Credential-process provides the pod's credentials to every program that reads an AWS config file,
// such as the AWS CLI and the SDKs for all languages.
//
//	[default]
//	credential_process = /usr/local/bin/credential-process
//
// With -demo, it runs against the test kit, without an AWS account or a cluster.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // so that a write to a closed standard output fails instead
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program immediately
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "credential-process:", oneLine(err))
		os.Exit(1)
	}
}

// oneLine returns the text of err without line breaks. SDKs include standard error in their
// own error messages.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("credential-process", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the returned error is enough
	timeout := flags.Duration("timeout", 15*time.Second, "maximum `duration` to wait for credentials")
	insecure := flags.Bool("insecure-endpoint", false, "accept an STS endpoint with http:// that is not on this machine")
	demo := flags.Bool("demo", false, "run against the test kit, without AWS")
	err := flags.Parse(arguments)
	switch {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(stderr)
		flags.Usage()
		return nil
	case err != nil:
		return fmt.Errorf("%w; -h lists the flags", err)
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q; -h lists the flags", flags.Arg(0))
	case *timeout <= 0:
		return errors.New("-timeout must be positive")
	}
	if !*demo {
		return writeCredentials(ctx, stdout, *timeout, func(o *irsa.Options) { o.InsecureEndpoint = *insecure })
	}
	k, err := irsatest.Start()
	if err != nil {
		return err
	}
	defer k.Close()
	sa := k.ServiceAccount("shop", "cart")
	return writeCredentials(ctx, stdout, *timeout, k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa))).Options)
}

// writeCredentials writes credentials to stdout. On error, it does not write anything. It retries until
// the timeout.
func writeCredentials(ctx context.Context, stdout io.Writer, timeout time.Duration, configure func(*irsa.Options)) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	p, err := irsa.New(configure, func(o *irsa.Options) {
		o.Logger = slog.New(slog.DiscardHandler)          // the error is the only output
		o.AttemptTimeout = min(timeout/2, 10*time.Second) // so that the error describes the attempt, and another one can follow
	})
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.WaitReady(ctx); err != nil {
		return err
	}
	credentials, err := p.Retrieve(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(newDocument(credentials)) // #nosec G117 -- the program's purpose is to output them
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, string(text))
	return err
}

// document is the output format of a credential process. See "Sourcing credentials with an
// external process" in the AWS SDKs and Tools Reference Guide.
type document struct {
	Version         int
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      string
	AccountID       string `json:"AccountId,omitempty"`
}

func newDocument(c aws.Credentials) document {
	return document{
		Version:         1,
		AccessKeyID:     c.AccessKeyID,
		SecretAccessKey: c.SecretAccessKey,
		SessionToken:    c.SessionToken,
		Expiration:      c.Expires.UTC().Format(time.RFC3339),
		AccountID:       c.AccountID,
	}
}
