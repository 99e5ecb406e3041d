package irsatest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// The pod's role assumes a role in a partner's account, using the external ID required by the
// partner's trust policy.
func ExampleInAccount() {
	k, err := irsatest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	reader := k.Role("reader", irsatest.InAccount("444455556666"), irsatest.TrustPolicy(`{
	  "Version": "2012-10-17",
	  "Statement": [{
	    "Effect": "Allow",
	    "Principal": {"AWS": "arn:aws:iam::111122223333:role/s3-writer"},
	    "Action": "sts:AssumeRole",
	    "Condition": {"StringEquals": {"sts:ExternalId": "shop-4711"}}
	  }]
	}`))
	p, err := irsa.New(pod.Options)
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	cfg := p.AWSConfig()
	cfg.HTTPClient = k.HTTPClient()
	client := sts.NewFromConfig(cfg, func(o *sts.Options) { o.BaseEndpoint = aws.String(k.STS.Endpoint()) })
	in := &sts.AssumeRoleInput{
		RoleArn:         aws.String(reader.ARN()),
		RoleSessionName: aws.String("cart"),
	}
	if _, err = client.AssumeRole(context.Background(), in); err == nil {
		log.Print("assumed without the external ID")
		return
	}
	in.ExternalId = aws.String("shop-4711")
	session, err := client.AssumeRole(context.Background(), in)
	if err != nil {
		log.Print(err)
		return
	}
	calls := k.STS.Calls() // AssumeRoleWithWebIdentity and two AssumeRole calls
	fmt.Println(calls[1].Err)
	fmt.Println(calls[1].Reason)
	fmt.Println(*session.AssumedRoleUser.Arn)

	// Output:
	// AccessDenied
	// trust policy: statement 1: StringEquals on "sts:ExternalId" expects "shop-4711", found nothing
	// arn:aws:sts::444455556666:assumed-role/reader/cart
}

// A service moves from a blue cluster to a green one. The issuers of both clusters must be registered
// in the account, and the role must trust both service accounts.
func ExampleCluster_NewIssuer() {
	k, err := irsatest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()
	green := k.NewIssuer()
	sa := green.ServiceAccount("shop", "cart")
	role := k.Role("s3-writer", irsatest.Trust(k.ServiceAccount("shop", "cart"), sa))
	pod := k.Pod(sa, role)
	p, err := irsa.New(pod.Options, func(o *irsa.Options) { o.Logger = slog.New(slog.DiscardHandler) })
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	ctx := context.Background()
	_, err = p.Retrieve(ctx)
	fmt.Println("rejected:", errors.Is(err, irsa.ErrTokenRejected))
	k.RegisterIssuer("111122223333", green)
	fmt.Println("refreshed:", p.Refresh(ctx))

	// Output:
	// rejected: true
	// refreshed: <nil>
}
