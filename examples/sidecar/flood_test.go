package main

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/examples/sidecar/flood"
	"github.com/irsakit/irsakit/internal/test/testsize"
)

// reconnect is how often each client of a flood connects, at most.
const reconnect = 200 * time.Millisecond

// patience is how long the tests wait for what should happen at once.
const patience = time.Minute

// On all three ports, as many clients as there are connections keep them busy. An authorized
// client, the kubelet and Prometheus are still served, and the sidecar ends in time.
func TestSidecarServesDuringFlood(t *testing.T) {
	clients := testsize.Choose(32, 64, 512)
	for _, kind := range flood.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			r := newSidecar(t, clients)
			token := r.token(t)
			health, metrics := "http://"+r.health.Addr().String(), "http://"+r.metrics.Addr().String()
			ctx, stop := context.WithCancel(t.Context())
			floods := []*flood.Flood{
				flood.Start(ctx, kind, clients, reconnect, r.credentials.Addr().String(), path),
				flood.Start(ctx, kind, clients, reconnect, r.health.Addr().String(), "/healthz"),
				flood.Start(ctx, kind, clients, reconnect, r.metrics.Addr().String(), "/nothing"),
			}
			defer func() {
				stop()
				for _, f := range floods {
					f.Wait()
				}
			}()
			require.Eventually(t, func() bool {
				for _, f := range floods {
					if f.Connections() < int64(clients) {
						return false
					}
				}
				return true
			}, patience, time.Millisecond)
			for range 5 {
				requireServed(t, r.uri(), token)
				requireServed(t, health+"/healthz", "")
				requireServed(t, health+"/readyz", "")
				requireServed(t, metrics+"/metrics", "")
			}
			start := time.Now()
			r.stop()
			assert.Less(t, time.Since(start), patience)
		})
	}
}

// requireServed requires that a request over a new connection is answered with 200. It sends
// the request up to three times, as the SDKs and the kubelet do: on a busy machine, a client
// may be so slow that the server closes its connection.
func requireServed(t *testing.T, url, token string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if token != "" {
		request.Header.Set("Authorization", token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	var errs error
	for range 3 {
		response, err := client.Do(request)
		if err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		defer func() { _ = response.Body.Close() }()
		require.Equal(t, http.StatusOK, response.StatusCode, url)
		return
	}
	require.NoError(t, errs)
}

func TestEndpointAnswersWaitingRequestsDuringFlood(t *testing.T) {
	const clients = 32
	r := newSidecar(t, clients)
	r.kit.STS.SetLatency(2 * time.Second) // the request waits for the first exchange
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.uri(), nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", r.token(t))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	status := make(chan int, 1)
	go func() {
		defer close(status)
		if response, err := client.Do(request); assert.NoError(t, err) {
			_ = response.Body.Close()
			status <- response.StatusCode
		}
	}()
	require.Eventually(t, func() bool { return r.kit.STS.CallCount() == 1 }, patience, time.Millisecond)
	ctx, stop := context.WithCancel(t.Context())
	silent := flood.Start(ctx, flood.Kinds()[0], clients, reconnect, r.credentials.Addr().String(), path)
	defer func() { stop(); silent.Wait() }()
	require.Eventually(t, func() bool { return silent.Connections() > 2*clients }, patience, time.Millisecond)
	assert.Equal(t, http.StatusOK, <-status)
}
