// Credential-process gives the pod's credentials to everything that reads an AWS config
// file: the command line interface, and the SDKs of every language.
//
//	[default]
//	credential_process = /usr/local/bin/credential-process
//
// With -demo it shows itself at work, with no AWS account and no cluster.
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
		return answer(ctx, stdout, func(o *irsa.Options) { o.InsecureEndpoint = *insecure })
	}
	k, err := irsatest.Start()
	if err != nil {
		return err
	}
	defer k.Close()
	sa := k.ServiceAccount("shop", "cart")
	return answer(ctx, stdout, k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa))).Options)
}

// answer writes credentials, or nothing where there are none.
func answer(ctx context.Context, stdout io.Writer, optFns ...func(*irsa.Options)) error {
	p, err := irsa.New(optFns...)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.WaitReady(ctx); err != nil { // outlasts what passes by itself
		return err
	}
	credentials, err := p.Retrieve(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(documentOf(credentials)) // #nosec G117 -- to hand them over is what it is for
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, string(text))
	return err
}

// document is what is expected of a credential process: "Sourcing credentials with an
// external process" of the AWS SDKs and Tools Reference Guide.
type document struct {
	Version                                   int
	AccessKeyID                               string `json:"AccessKeyId"`
	SecretAccessKey, SessionToken, Expiration string
}

func documentOf(c aws.Credentials) document {
	return document{
		Version:         1,
		AccessKeyID:     c.AccessKeyID,
		SecretAccessKey: c.SecretAccessKey,
		SessionToken:    c.SessionToken,
		Expiration:      c.Expires.UTC().Format(time.RFC3339),
	}
}
