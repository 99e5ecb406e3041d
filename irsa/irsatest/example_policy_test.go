package irsatest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"strings"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// A trust policy is meant to match all service accounts in a namespace, but StringEquals does not
// treat * as a wildcard. Unlike AWS, Call.Reason explains the mistake.
func ExampleTrustPolicy() {
	const policy = `{
	  "Version": "2012-10-17",
	  "Statement": [{
	    "Effect": "Allow",
	    "Principal": {"Federated": "arn:aws:iam::444455556666:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"},
	    "Action": "sts:AssumeRoleWithWebIdentity",
	    "Condition": {"StringEquals": {
	      "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE:sub": "system:serviceaccount:shop:*"
	    }}
	  }]
	}`
	k, err := irsatest.Start(func(o *irsatest.Options) { // as named in the policy
		o.AccountID = "444455556666"
		o.IssuerURL = "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
	})
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()
	role := k.Role("s3-writer", irsatest.TrustPolicy(policy))
	pod := k.Pod(k.ServiceAccount("shop", "cart"), role)
	p, err := irsa.New(pod.Options, func(o *irsa.Options) { o.Logger = slog.New(slog.DiscardHandler) })
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	_, err = p.Retrieve(context.Background())
	fmt.Println(errors.Is(err, irsa.ErrAccessDenied))
	fmt.Println(k.STS.Calls()[0].Reason)

	role.SetTrustPolicy(strings.Replace(policy, "StringEquals", "StringLike", 1))
	fmt.Println(p.Refresh(context.Background()))

	// Output:
	// true
	// trust policy: statement 1: StringEquals on "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE:sub" expects "system:serviceaccount:shop:*", found "system:serviceaccount:shop:cart" (StringEquals does not treat * as a wildcard: use StringLike)
	// <nil>
}
