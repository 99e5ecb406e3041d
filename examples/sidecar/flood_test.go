package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/examples/sidecar/flood"
	"github.com/irsakit/irsakit/internal/test/testsize"
)

// reconnect returns the minimum interval between the connections of a flood client. In total, there
// are up to 1,000 connections per second on three ports. With more, the test would measure the speed
// of the machine.
func reconnect(clients int) time.Duration { return time.Duration(3*clients) * time.Millisecond }

// patience is how long the tests wait for something that should happen immediately.
const patience = time.Minute

// floodReasons maps each kind to the reason for which its clients are rejected. It shows that the
// clients pass the other checks.
var floodReasons = map[string]string{
	"OPTIONS *": noToken, "no token": noToken, "wrong token": wrongToken, "keep-alive": wrongToken, "half-closed": wrongToken,
	"pipelined": wrongToken, "no reader": wrongToken, "HTTP/2": wrongHost, "slow body": noToken, "missing body": noToken, "large body": noToken,
}

// On each of the three ports, the number of clients is twice the number of connections. An authorized
// client, the kubelet and Prometheus are still served, and the sidecar ends in time.
func TestSidecarServesDuringFlood(t *testing.T) {
	clients := testsize.Choose(32, 64, 1024)
	for _, kind := range flood.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			r := newSidecar(t, clients/2)
			token := r.token(t)
			health, metrics := "http://"+r.health.Addr().String(), "http://"+r.metrics.Addr().String()
			startFloods(t, kind, clients, r.credentials.Addr().String(), r.health.Addr().String(), r.metrics.Addr().String())
			var scrape string
			for range 5 {
				requireServed(t, r.uri(), token)
				requireServed(t, health+"/healthz", "")
				requireServed(t, health+"/readyz", "")
				scrape = requireServed(t, metrics+"/metrics", "")
			}
			if reason := floodReasons[kind.Name]; reason != "" {
				assert.Regexp(t, `rejected_requests_total{reason="`+reason+`"} [1-9]`, scrape)
			}
			start := time.Now()
			r.stop()
			assert.Less(t, time.Since(start), patience)
		})
	}
}

// startFloods starts clients of a kind on each port, and waits until each has connected. They end
// with the test.
func startFloods(t *testing.T, kind flood.Kind, clients int, credentials, health, metrics string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	floods := []*flood.Flood{
		flood.Start(ctx, kind, clients, reconnect(clients), credentials, path),
		flood.Start(ctx, kind, clients, reconnect(clients), health, "/healthz"),
		flood.Start(ctx, kind, clients, reconnect(clients), metrics, "/metrics"),
	}
	t.Cleanup(func() {
		stop()
		for _, f := range floods {
			f.Wait()
		}
	})
	require.Eventually(t, func() bool {
		for _, f := range floods {
			if f.Connections() < int64(clients) {
				return false
			}
		}
		return true
	}, patience, time.Millisecond)
}

// The program ends with an error if it exceeds its time limit after the signal. See wait.
func TestProcessEndsOnSignalDuringFlood(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals")
	}
	clients := testsize.Choose(32, 64, 1024)
	for _, kind := range flood.Kinds() {
		if !slices.Contains([]string{"silent", "slow header", "OPTIONS *", "wrong token", "keep-alive", "no reader"}, kind.Name) {
			continue
		}
		t.Run(kind.Name, func(t *testing.T) {
			process := newProcess(t, filepath.Join(t.TempDir(), "token"), "-connections", strconv.Itoa(clients/2))
			stderr, err := process.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, process.Start())
			log := bufio.NewReader(stderr)
			addresses := readAddresses(t, log)
			startFloods(t, kind, clients, addresses[0], addresses[1], addresses[2])
			require.NoError(t, process.Process.Signal(syscall.SIGTERM))
			_, err = io.Copy(io.Discard, log)
			require.NoError(t, err)
			require.NoError(t, process.Wait())
		})
	}
}

var serving = regexp.MustCompile(`serving credentials.* uri=http://([^/]+)/.* health=(\S+) metrics=(\S+)`)

// readAddresses returns the addresses for credentials, probes and metrics from the log of a process.
func readAddresses(t *testing.T, log *bufio.Reader) []string {
	t.Helper()
	for {
		line, err := log.ReadString('\n')
		require.NoError(t, err, line)
		if match := serving.FindStringSubmatch(line); match != nil {
			return match[1:]
		}
	}
}

// requireServed requires that a request over a new connection is answered with 200, and returns the
// body. Like the SDKs and the kubelet, it sends the request up to three times, because on a busy
// machine a client may be so slow that the server closes its connection.
func requireServed(t *testing.T, url, token string) string {
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
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return string(body)
	}
	require.NoError(t, errs)
	return ""
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
	silent := flood.Start(ctx, flood.Kinds()[0], clients, reconnect(clients), r.credentials.Addr().String(), path)
	defer func() { stop(); silent.Wait() }()
	require.Eventually(t, func() bool { return silent.Connections() > 2*clients }, patience, time.Millisecond)
	assert.Equal(t, http.StatusOK, <-status)
}
