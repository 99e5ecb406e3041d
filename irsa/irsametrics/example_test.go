package irsametrics_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsametrics"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// In a pod, pod.Options is not needed, because irsa.New reads the environment set by the webhook.
func Example() {
	k, err := irsatest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))

	metrics := irsametrics.New()
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	p, err := irsa.New(pod.Options, func(o *irsa.Options) { o.Observe = metrics.Observe })
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	metrics.Add(p)
	if _, err := p.Retrieve(context.Background()); err != nil {
		log.Fatal(err)
	}

	scrape := httptest.NewRecorder()
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	handler.ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(scrape.Body.String()) {
		if strings.Contains(line, "irsa_credentials_valid") {
			fmt.Print(line)
		}
	}
	// Output:
	// # HELP irsa_credentials_valid Whether valid credentials are available: 1 or 0.
	// # TYPE irsa_credentials_valid gauge
	// irsa_credentials_valid{role="arn:aws:iam::111122223333:role/s3-writer",source=""} 1
}

// Providers returned by AssumeRole are added individually. The source label distinguishes Providers
// with the same role.
func ExampleMetrics_Add() {
	k, err := irsatest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()
	sa := k.ServiceAccount("shop", "cart")
	cart := k.Role("cart", irsatest.Trust(sa))
	partner := k.Role("partner", irsatest.Trust(cart))

	metrics := irsametrics.New()
	p, err := irsa.New(k.Pod(sa, cart).Options, func(o *irsa.Options) { o.Observe = metrics.Observe })
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	derived, err := p.AssumeRole(partner.ARN())
	if err != nil {
		log.Fatal(err)
	}
	defer derived.Close()
	metrics.Add(p)
	metrics.Add(derived)

	fmt.Println(testutil.CollectAndCount(metrics, "irsa_credentials_valid"), "Providers")
	// Output: 2 Providers
}
