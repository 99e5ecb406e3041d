package irsa_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

// startPod starts the test kit, so that the examples run without AWS. In a pod, the webhook
// sets everything and irsa.New() needs no options.
func startPod() (*irsatest.Cluster, *irsatest.Pod) {
	k, err := irsatest.Start()
	if err != nil {
		log.Fatal(err)
	}
	sa := k.ServiceAccount("shop", "cart")
	return k, k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
}

func ExampleNew() {
	k, pod := startPod()
	defer k.Close()

	p, err := irsa.New(pod.Options)
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	credentials, err := p.Retrieve(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(credentials.AccountID, credentials.Source)
	// Output: 111122223333 WebIdentityCredentials
}

// Outside of a pod, New reports which settings are missing.
func ExampleNew_notConfigured() {
	_, err := irsa.New()
	fmt.Println(errors.Is(err, irsa.ErrNotConfigured))
	// Output: true
}

// This pod's role trusts another service account. The report shows the failure and, given the trust
// policy, the condition that does not match.
func ExampleDiagnose() {
	k, pod := startPod()
	defer k.Close()
	role := k.Role("s3-writer", irsatest.Trust(k.ServiceAccount("shop", "search")))

	report := irsa.Diagnose(context.Background(), pod.Options) // in a pod: irsa.Diagnose(ctx)
	report.CheckTrustPolicy([]byte(role.TrustPolicy()))
	for _, check := range report.Checks {
		if check.Status == "failed" {
			fmt.Println(check.Name)
			fmt.Println(strings.ReplaceAll(check.Detail, k.Issuer.URL()[len("http://"):], "<issuer>"))
		}
	}
	// Output:
	// trust-policy
	// statement 1: StringEquals on "<issuer>:sub" expects "system:serviceaccount:shop:search", found "system:serviceaccount:shop:cart" (another service account)
	// exchange
	// AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity (HTTP 403)
}

// A mock for a unit test needs only one method.
func ExampleOptions_mock() {
	p, err := irsa.New(func(o *irsa.Options) {
		o.RoleARN = "arn:aws:iam::111122223333:role/s3-writer"
		o.Token = kubernetesToken{}
		o.STS = mockSTS{}
	})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	credentials, err := p.Retrieve(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(credentials.AccessKeyID)
	// Output: ASIAMOCK
}

// kubernetesToken returns the same token each time.
type kubernetesToken struct{}

func (kubernetesToken) Identity() string { return "shop/cart" }

func (kubernetesToken) Token(context.Context) (tokenfile.Token, error) {
	return tokenfile.Parse("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6c2hvcDpjYXJ0In0.c2lnbmF0dXJl")
}

type mockSTS struct{}

func (mockSTS) AssumeRoleWithWebIdentity(context.Context, *sts.AssumeRoleWithWebIdentityInput, ...func(*sts.Options)) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	return &sts.AssumeRoleWithWebIdentityOutput{Credentials: &types.Credentials{
		AccessKeyId:     aws.String("ASIAMOCK"),
		SecretAccessKey: aws.String("secret"),
		SessionToken:    aws.String("session"),
		Expiration:      aws.Time(time.Now().Add(time.Hour)),
	}}, nil
}

func ExampleProvider_AWSConfig() {
	k, pod := startPod()
	defer k.Close()
	p, err := irsa.New(pod.Options)
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	client := sts.NewFromConfig(p.AWSConfig()) // or s3, dynamodb, …
	fmt.Println(client.Options().Region)
	// Output: us-west-2
}

// URLs signed with these credentials are valid for at least 15 minutes.
func ExampleProvider_MinTTL() {
	k, pod := startPod()
	defer k.Close()
	p, err := irsa.New(pod.Options)
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	credentials, err := p.MinTTL(15 * time.Minute).Retrieve(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(time.Until(credentials.Expires) >= 15*time.Minute)
	// Output: true
}

func ExampleProvider_Refresh() {
	k, pod := startPod()
	defer k.Close()
	p, err := irsa.New(pod.Options)
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	if err := p.Refresh(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Status().State)
	// Output: fresh
}

// Invalidate replaces credentials, for example after the role's sessions were revoked.
func ExampleProvider_Invalidate() {
	k, pod := startPod()
	defer k.Close()
	p, err := irsa.New(pod.Options, func(o *irsa.Options) { o.Logger = slog.New(slog.DiscardHandler) })
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	ctx := context.Background()
	revoked, err := p.Retrieve(ctx)
	if err != nil {
		log.Fatal(err)
	}
	p.Invalidate(revoked)
	replacement, err := p.Retrieve(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(replacement.AccessKeyID != revoked.AccessKeyID)
	// Output: true
}

// The pod's role assumes a role in another account.
func ExampleProvider_AssumeRole() {
	k, err := irsatest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()
	cart := k.ServiceAccount("shop", "cart")
	first := k.Role("shop", irsatest.Trust(cart))
	second := k.Role("auditor", irsatest.InAccount("444455556666"), irsatest.Trust(first))
	p, err := irsa.New(k.Pod(cart, first).Options) // in a pod: irsa.New()
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	auditor, err := p.AssumeRole(second.ARN())
	if err != nil {
		log.Fatal(err)
	}
	credentials, err := auditor.Retrieve(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(credentials.AccountID)
	// Output: 444455556666
}

// Configure accepts any configuration, such as the result of config.LoadDefaultConfig.
func ExampleProvider_Configure() {
	k, pod := startPod()
	defer k.Close()
	p, err := irsa.New(pod.Options)
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	cfg := aws.Config{Region: "eu-central-1"}
	p.Configure(&cfg)
	creds, err := cfg.Credentials.Retrieve(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cfg.Region, creds.AccountID)
	// Output: eu-central-1 111122223333
}
