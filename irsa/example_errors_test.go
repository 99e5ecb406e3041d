package irsa_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// A program that also runs outside of pods uses IRSA if it is configured. Any other error is fatal,
// because other credentials would belong to another identity.
func ExampleNew_otherCredentials() {
	p, err := irsa.New()
	switch {
	case errors.Is(err, irsa.ErrNotInjected):
		fmt.Println("use config.LoadDefaultConfig")
	case err != nil:
		log.Fatal(err)
	default:
		defer p.Close()
		fmt.Println("use", p.AWSConfig().Region)
	}
	// Output: use config.LoadDefaultConfig
}

// A controller reports permanent errors to the user, and retries after other errors.
func ExampleError_Permanent() {
	k, pod := startPod()
	defer k.Close()
	p, err := irsa.New(pod.Options, func(o *irsa.Options) { o.Logger = slog.New(slog.DiscardHandler) })
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	k.STS.Fail(irsatest.AccessDenied, -1)
	_, err = p.Retrieve(context.Background())
	var failure *irsa.Error
	if errors.As(err, &failure) {
		fmt.Println(failure.Kind, failure.Permanent())
	}
	// Output: access denied true
}

// An error has a kind and contains the facts about the failure.
func ExampleError() {
	k, pod := startPod()
	defer k.Close()
	p, err := irsa.New(pod.Options, func(o *irsa.Options) { o.Logger = slog.New(slog.DiscardHandler) })
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	k.STS.Fail(irsatest.AccessDenied, -1)
	_, err = p.Retrieve(context.Background())
	var failure *irsa.Error
	fmt.Println(errors.Is(err, irsa.ErrAccessDenied), errors.As(err, &failure))
	fmt.Println(failure.Code, failure.RoleARN)
	fmt.Println(failure.Subject, failure.Audience)
	// Output:
	// true true
	// AccessDenied arn:aws:iam::111122223333:role/s3-writer
	// system:serviceaccount:shop:cart [sts.amazonaws.com]
}
