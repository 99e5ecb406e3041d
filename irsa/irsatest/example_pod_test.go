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

// The token in the volume is expired until the kubelet writes a new one.
func ExamplePod_Rotate() {
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
	pod.Rotate(irsatest.Invalid("expired"))
	_, err = p.Retrieve(ctx)
	fmt.Println("expired:", errors.Is(err, irsa.ErrTokenExpired))
	pod.Rotate()
	fmt.Println("refreshed:", p.Refresh(ctx))

	calls := k.STS.Calls()
	first, last := calls[0], calls[len(calls)-1]
	fmt.Println("another token:", first.TokenFingerprint != last.TokenFingerprint)

	// Output:
	// expired: true
	// refreshed: <nil>
	// another token: true
}
