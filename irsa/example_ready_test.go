package irsa_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// WaitReady waits for a sidecar that is not ready when the pod starts.
func ExampleProvider_WaitReady() {
	k, pod := startPod()
	defer k.Close()
	p, err := irsa.New(pod.Options, func(o *irsa.Options) { o.Logger = slog.New(slog.DiscardHandler) })
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	k.STS.Fail(irsatest.Unavailable, 1)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := p.WaitReady(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Status().State, "after", k.STS.CallCount(), "calls")
	// Output: fresh after 2 calls
}

// This readiness probe has a timeout. The pod is ready as long as the credentials are valid.
func ExampleProvider_Ready() {
	k, pod := startPod()
	defer k.Close()
	p, err := irsa.New(pod.Options, func(o *irsa.Options) { o.Logger = slog.New(slog.DiscardHandler) })
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	probe := func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if err := p.Ready(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	}

	for range 2 {
		response := httptest.NewRecorder()
		probe(response, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		fmt.Println(response.Code)
		k.STS.Down()
	}
	// Output:
	// 200
	// 200
}

// Healthy reports an outage of STS while callers are not affected yet.
func ExampleProvider_Healthy() {
	k, pod := startPod()
	defer k.Close()
	p, err := irsa.New(pod.Options, func(o *irsa.Options) { o.Logger = slog.New(slog.DiscardHandler) })
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	fmt.Println(p.Healthy())
	if err := p.WaitReady(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Healthy())
	k.STS.Down()
	_ = p.Refresh(context.Background())
	fmt.Println(errors.Is(p.Healthy(), irsa.ErrUnavailable), p.Status().State == cache.Stale)
	// Output:
	// cache: no credentials obtained yet
	// <nil>
	// true true
}
