package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsametrics"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// testSidecar is a running sidecar with its cluster and Provider.
type testSidecar struct {
	*sidecar
	kit      *irsatest.Cluster
	provider *irsa.Provider
	file     string // the authorization token file
	stop     func() // stops the sidecar and waits until it has stopped
}

func newSidecar(t *testing.T, connections int) *testSidecar {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) }) // runs after all other cleanups
	k := irsatest.New(t)
	sa := k.ServiceAccount("shop", "cart")
	metrics := irsametrics.New()
	p, err := irsa.New(k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa))).Options, func(o *irsa.Options) {
		o.Observe, o.Logger = metrics.Observe, slog.New(slog.DiscardHandler)
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	metrics.Add(p)
	file := filepath.Join(t.TempDir(), "token")
	s, err := start(options{listen: "127.0.0.1:0", health: "127.0.0.1:0", metrics: "127.0.0.1:0", tokenFile: file, connections: connections}, p, metrics)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.serve(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-served)
	})
	t.Cleanup(stop)
	return &testSidecar{s, k, p, file, stop}
}

func (r *testSidecar) token(t *testing.T) string {
	t.Helper()
	token, err := authorization{r.file}.read()
	require.NoError(t, err)
	return token
}

// send sends a request over a new connection and returns the response and its body.
func send(t *testing.T, url string, change func(*http.Request)) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if change != nil {
		change(request)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(body)
}

func with(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", token) }
}

// sdk returns the SDK's own provider for the endpoint, without retries.
func (r *testSidecar) sdk(token string) aws.CredentialsProvider {
	return endpointcreds.New(r.uri(), func(o *endpointcreds.Options) {
		o.AuthorizationToken = token
		o.Retryer = aws.NopRetryer{}
	})
}

func TestEndpointServesSDKContainerProvider(t *testing.T) {
	r := newSidecar(t, 16)
	got, err := r.sdk(r.token(t)).Retrieve(t.Context())
	require.NoError(t, err)
	want, err := r.provider.Retrieve(t.Context())
	require.NoError(t, err)
	assert.Equal(t, want.AccessKeyID, got.AccessKeyID)
	assert.Equal(t, want.SecretAccessKey, got.SecretAccessKey)
	assert.Equal(t, want.SessionToken, got.SessionToken)
	assert.Equal(t, want.AccountID, got.AccountID)
	assert.WithinDuration(t, want.Expires, got.Expires, time.Second)
	assert.True(t, got.CanExpire)
}

func TestEndpointNeedsOnlyTwoVariables(t *testing.T) {
	r := newSidecar(t, 16)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", r.uri())
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", r.file)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	cfg, err := config.LoadDefaultConfig(t.Context())
	require.NoError(t, err)
	got, err := cfg.Credentials.Retrieve(t.Context())
	require.NoError(t, err)
	assert.Equal(t, endpointcreds.ProviderName, got.Source)
}

func TestEndpointRequiresToken(t *testing.T) {
	r := newSidecar(t, 16)
	token := r.token(t)
	for name, wrong := range map[string]string{
		"none": "", "other": strings.Repeat("x", len(token)), "prefix": token[:len(token)-1], "with suffix": token + "x",
		"bearer": "Bearer " + token, "lower case": strings.ToLower(token), "with prefix": "x" + token,
	} {
		t.Run(name, func(t *testing.T) {
			response, body := send(t, r.uri(), with(wrong))
			assert.Equal(t, http.StatusUnauthorized, response.StatusCode)
			assert.NotContains(t, body, "ASIA")
			_, err := r.sdk(wrong).Retrieve(t.Context())
			require.ErrorContains(t, err, "Unauthorized")
			assert.False(t, retry.NewStandard().IsErrorRetryable(err), "a retry would not succeed")
		})
	}
	assert.Zero(t, r.kit.STS.CallCount(), "rejected requests cause no STS requests")
}

func TestEndpointRejectsDNSRebinding(t *testing.T) {
	r := newSidecar(t, 16)
	_, port, err := net.SplitHostPort(r.credentials.Addr().String())
	require.NoError(t, err)
	for host, status := range map[string]int{
		"127.0.0.1:" + port: http.StatusOK, "localhost:" + port: http.StatusOK,
		"evil.example:" + port: http.StatusForbidden, "127.0.0.1": http.StatusForbidden, "localhost.evil.example:" + port: http.StatusForbidden,
		"169.254.170.2": http.StatusForbidden, "127.0.0.1:1": http.StatusForbidden,
	} {
		response, body := send(t, r.uri(), func(request *http.Request) {
			request.Header.Set("Authorization", r.token(t))
			request.Host = host
		})
		assert.Equal(t, status, response.StatusCode, host)
		assert.Equal(t, status == http.StatusOK, strings.Contains(body, "ASIA"), host)
		assert.Equal(t, "no-store", response.Header.Get("Cache-Control"))
	}
}

func TestEndpointAcceptsOnlyGetOfPath(t *testing.T) {
	r := newSidecar(t, 16)
	token := r.token(t)
	base := strings.TrimSuffix(r.uri(), path)
	const unknown = -1
	for _, tt := range []struct {
		method, url, body string
		status            int
		length            int64
	}{
		{http.MethodPost, r.uri(), "", http.StatusMethodNotAllowed, 0},
		{http.MethodHead, r.uri(), "", http.StatusMethodNotAllowed, 0},
		{http.MethodGet, base + "/", "", http.StatusNotFound, 0},
		{http.MethodGet, base + "/metrics", "", http.StatusNotFound, 0},
		{http.MethodGet, r.uri(), "a body", http.StatusRequestEntityTooLarge, 6},
		{http.MethodGet, r.uri(), "in chunks", http.StatusRequestEntityTooLarge, unknown},
	} {
		response, body := send(t, tt.url, func(request *http.Request) {
			request.Method = tt.method
			request.Header.Set("Authorization", token)
			if tt.body != "" {
				request.Body, request.ContentLength = io.NopCloser(strings.NewReader(tt.body)), tt.length
			}
		})
		assert.Equal(t, tt.status, response.StatusCode, tt.method+" "+tt.url)
		assert.NotContains(t, body, "ASIA")
	}
}

func TestEndpointServesDuringSTSOutage(t *testing.T) {
	r := newSidecar(t, 16)
	health := "http://" + r.health.Addr().String()
	r.kit.STS.Fail(irsatest.AccessDenied, 1000)
	_, err := r.sdk(r.token(t)).Retrieve(t.Context())
	require.ErrorContains(t, err, "CredentialsUnavailable")
	assert.True(t, retry.NewStandard().IsErrorRetryable(err), "the SDK retries")
	response, body := send(t, r.uri(), with(r.token(t)))
	assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode, body)
	response, body = send(t, health+"/readyz", nil)
	assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode, body)

	r.kit.STS.Recover()
	require.NoError(t, r.provider.WaitReady(t.Context()))
	r.kit.STS.Down()
	require.Error(t, r.provider.Refresh(t.Context()))
	_, err = r.sdk(r.token(t)).Retrieve(t.Context())
	require.NoError(t, err)
	response, body = send(t, health+"/readyz", nil)
	assert.Equal(t, http.StatusOK, response.StatusCode)
	assert.Equal(t, "ready, but refresh is failing\n", body)
	response, _ = send(t, health+"/healthz", nil)
	assert.Equal(t, http.StatusOK, response.StatusCode)
}

func TestServeCompletesRequestsOnShutdown(t *testing.T) {
	r := newSidecar(t, 16)
	r.kit.STS.SetLatency(300 * time.Millisecond) // the request waits for the first exchange
	connection, err := net.Dial("tcp", r.credentials.Addr().String())
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	_, err = fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\n\r\n", path, r.credentials.Addr(), r.token(t))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return r.provider.Status().State == "empty" && r.kit.STS.CallCount() == 1 }, time.Minute, time.Millisecond)
	r.stop()
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	var got credentials
	require.NoError(t, json.NewDecoder(response.Body).Decode(&got))
	assert.NotEmpty(t, got.AccessKeyID)
	_, err = net.Dial("tcp", r.credentials.Addr().String())
	require.Error(t, err)
}

func TestDemoPrintsResponses(t *testing.T) {
	var out strings.Builder
	require.NoError(t, runDemo(t.Context(), &out))
	assert.Equal(t, 3, strings.Count(out.String(), "200 OK"))
	assert.Equal(t, 2, strings.Count(out.String(), "401 Unauthorized"))
	assert.Equal(t, 2, strings.Count(out.String(), "…\",\"Token\""))
}

func TestRunStopsWithContextAndReportsErrors(t *testing.T) {
	k := irsatest.New(t)
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	o := options{listen: "127.0.0.1:0", health: "127.0.0.1:0", metrics: "127.0.0.1:0", tokenFile: filepath.Join(t.TempDir(), "token"), connections: 1}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, run(ctx, o, pod.Options))
	require.ErrorIs(t, run(ctx, o), irsa.ErrNotConfigured)
	o.tokenFile = filepath.Join(t.TempDir(), "no", "such", "directory")
	require.ErrorIs(t, run(ctx, o, pod.Options), os.ErrNotExist)
	o.tokenFile, o.metrics = filepath.Join(t.TempDir(), "token"), "256.0.0.1:0"
	err := run(ctx, o, pod.Options)
	var opErr *net.OpError
	require.ErrorAs(t, err, &opErr)
	o.connections = 0
	require.ErrorContains(t, run(ctx, o, pod.Options), "-connections is 0; the minimum is 1")
}
