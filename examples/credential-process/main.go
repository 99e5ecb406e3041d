// Credential-process provides the pod's credentials to every program that reads an AWS
// config file: the AWS CLI and the SDKs for all languages.
//
//	[default]
//	credential_process = /usr/local/bin/credential-process
//
// With -demo it runs against the test kit, without an AWS account or a cluster.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "credential-process:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("credential-process", flag.ContinueOnError)
	flags.SetOutput(stderr)
	timeout := flags.Duration("timeout", 15*time.Second, "how long to try, at most")
	insecure := flags.Bool("insecure-endpoint", false, "accept an STS endpoint with http:// that is not on this machine")
	demo := flags.Bool("demo", false, "show it at work, without AWS")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	if !*demo {
		return writeCredentials(ctx, stdout, func(o *irsa.Options) { o.InsecureEndpoint = *insecure })
	}
	k, err := irsatest.Start()
	if err != nil {
		return err
	}
	defer k.Close()
	sa := k.ServiceAccount("shop", "cart")
	return writeCredentials(ctx, stdout, k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa))).Options)
}

// writeCredentials writes credentials to stdout. On error it writes nothing.
func writeCredentials(ctx context.Context, stdout io.Writer, optFns ...func(*irsa.Options)) error {
	p, err := irsa.New(optFns...)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.WaitReady(ctx); err != nil { // retries until ctx is done
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
	Version                                   int
	AccessKeyID                               string `json:"AccessKeyId"`
	SecretAccessKey, SessionToken, Expiration string
}

func newDocument(c aws.Credentials) document {
	return document{
		Version:         1,
		AccessKeyID:     c.AccessKeyID,
		SecretAccessKey: c.SecretAccessKey,
		SessionToken:    c.SessionToken,
		Expiration:      c.Expires.UTC().Format(time.RFC3339),
	}
}
