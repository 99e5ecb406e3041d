// Crossaccount assumes a role in another AWS account with the credentials of a pod's own
// role, and keeps both fresh. It needs no AWS account: the OIDC issuer, the token volume
// and the STS are those of package irsatest.
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

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func main() {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the failures below are meant
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "crossaccount:", err)
		os.Exit(1)
	}
}

// partnersPolicy is the trust policy of the partner's role. The external ID is what the
// partner has given us, so that nobody else makes us use the role for him.
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

	p, err := irsa.New(pod.Options) // in a pod: irsa.New()
	if err != nil {
		return err
	}
	defer p.Close() // and what it assumes
	if err := introduce(ctx, out, kit, p.AWSConfig()); err != nil {
		return err
	}

	// Without the external ID the partner's role refuses, and the error says why.
	stranger, err := p.AssumeRole(partner.ARN())
	if err != nil {
		return err
	}
	_, err = stranger.Retrieve(ctx)
	var failure *irsa.Error
	if !errors.As(err, &failure) || !errors.Is(err, irsa.ErrAccessDenied) {
		return fmt.Errorf("access was expected to be denied: %w", err)
	}
	fmt.Fprintf(out, "without the external ID: %s\n  do: %s\n", failure.Code, failure.Cure)

	auditor, err := p.AssumeRole(partner.ARN(), func(o *stscreds.AssumeRoleOptions) {
		o.ExternalID = aws.String("shop-4711")
	})
	if err != nil {
		return err
	}
	return introduce(ctx, out, kit, auditor.AWSConfig())
}

// introduce prints whose credentials a configuration has. It asks the kit's STS for it,
// where an application would ask S3 or another service for something.
func introduce(ctx context.Context, out io.Writer, kit *irsatest.Cluster, cfg aws.Config) error {
	client := sts.NewFromConfig(cfg, func(o *sts.Options) { o.BaseEndpoint = aws.String(kit.STS.Endpoint()) })
	me, err := client.GetCallerIdentity(ctx, nil)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "account %s: %s\n", *me.Account, *me.Arn)
	return nil
}
