package irsatest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// STS throttles the first call. Retrieve waits for the retry, which succeeds.
func ExampleSTS_Fail() {
	k, err := irsatest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	p, err := irsa.New(pod.Options, func(o *irsa.Options) { o.Logger = slog.New(slog.DiscardHandler) })
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	k.STS.Fail(irsatest.Throttling, 1)
	_, err = p.Retrieve(context.Background())
	fmt.Println(err)
	for i, call := range k.STS.Calls() {
		fmt.Printf("call %d: %q\n", i+1, call.Err)
	}

	// Output:
	// <nil>
	// call 1: "Throttling"
	// call 2: ""
}

// STS is unreachable. Refresh fails, but Retrieve still returns valid credentials.
func ExampleSTS_Down() {
	k, err := irsatest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	p, err := irsa.New(pod.Options, func(o *irsa.Options) { o.Logger = slog.New(slog.DiscardHandler) })
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	ctx := context.Background()
	if err := p.WaitReady(ctx); err != nil {
		log.Fatal(err)
	}
	k.STS.Down()
	err = p.Refresh(ctx)
	fmt.Println("unavailable:", errors.Is(err, irsa.ErrUnavailable))
	_, err = p.Retrieve(ctx)
	fmt.Println("retrieved:", err)
	k.STS.Up()
	fmt.Println("refreshed:", p.Refresh(ctx))

	// Output:
	// unavailable: true
	// retrieved: <nil>
	// refreshed: <nil>
}
