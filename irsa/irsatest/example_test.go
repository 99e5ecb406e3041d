package irsatest_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// A program, or a test that needs sockets, starts the kit on loopback.
func Example() {
	k, err := irsatest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()
	sa := k.ServiceAccount("shop", "cart")
	role := k.Role("s3-writer", irsatest.Trust(sa))
	pod := k.Pod(sa, role)

	token, err := os.ReadFile(pod.TokenFile())
	if err != nil {
		log.Print(err)
		return
	}
	client := sts.New(sts.Options{
		Region:       pod.Region(),
		BaseEndpoint: aws.String(k.STS.Endpoint()),
		Credentials:  aws.AnonymousCredentials{},
		HTTPClient:   k.HTTPClient(),
	})
	session, err := client.AssumeRoleWithWebIdentity(context.Background(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(pod.RoleARN()),
		RoleSessionName:  aws.String("example"),
		WebIdentityToken: aws.String(string(token)),
	})
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Println(*session.SubjectFromWebIdentityToken)
	fmt.Println(*session.AssumedRoleUser.Arn)
	fmt.Println(k.STS.CallCount(), "call")

	// Output:
	// system:serviceaccount:shop:cart
	// arn:aws:sts::111122223333:assumed-role/s3-writer/example
	// 1 call
}
