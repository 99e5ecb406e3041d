// Crossaccount assumes a role in another AWS account with the credentials of the pod's own role,
// and keeps both sets of credentials fresh. It does not need an AWS account, because package
// irsatest provides the OIDC issuer, the token volume and the STS.
//
//	go run ./examples/crossaccount
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func main() {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the failures below are intentional
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program immediately
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "crossaccount:", err)
		os.Exit(1)
	}
}

// partnersPolicy is the trust policy of the partner's role. The external ID was provided by the
// partner. It prevents our other customers from tricking us into using the partner's role.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
const partnersPolicy = `{
  "Version": "2012-10-17",
  "Statement": {
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111122223333:role/shop"},
    "Action": "sts:AssumeRole",
    "Condition": {"StringEquals": {"sts:ExternalId": "shop-4711"}}
  }
}`

func run(ctx context.Context, out io.Writer) error {
	kit, err := irsatest.Start()
	if err != nil {
		return err
	}
	defer kit.Close()
	cart := kit.ServiceAccount("shop", "cart")
	pod := kit.Pod(cart, kit.Role("shop", irsatest.Trust(cart)))
	partner := kit.Role("auditor", irsatest.InAccount("444455556666"), irsatest.TrustPolicy(partnersPolicy))

	p, err := irsa.New(pod.Options) // in a pod, call irsa.New()
	if err != nil {
		return err
	}
	defer p.Close() // also closes its derived Providers
	if err := printIdentity(ctx, out, kit, p.AWSConfig()); err != nil {
		return err
	}

	// Without the external ID, STS denies access, and the error explains how to fix it.
	withoutID, err := p.AssumeRole(partner.ARN())
	if err != nil {
		return err
	}
	_, err = withoutID.Retrieve(ctx)
	var failure *irsa.Error
	if !errors.As(err, &failure) || !errors.Is(err, irsa.ErrAccessDenied) {
		return fmt.Errorf("access was expected to be denied: %w", err)
	}
	fmt.Fprintf(out, "without the external ID: %s\n  fix: %s\n", failure.Code, failure.Advice)

	auditor, err := p.AssumeRole(partner.ARN(), func(o *stscreds.AssumeRoleOptions) {
		o.ExternalID = aws.String("shop-4711")
	})
	if err != nil {
		return err
	}
	return printIdentity(ctx, out, kit, auditor.AWSConfig())
}

// printIdentity prints the account and the ARN that the credentials of cfg belong to. It
// calls the kit's STS; an application would call S3 or another service.
func printIdentity(ctx context.Context, out io.Writer, kit *irsatest.Cluster, cfg aws.Config) error {
	client := sts.NewFromConfig(cfg, func(o *sts.Options) { o.BaseEndpoint = aws.String(kit.STS.Endpoint()) })
	identity, err := client.GetCallerIdentity(ctx, nil)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "account %s: %s\n", *identity.Account, *identity.Arn)
	return nil
}
