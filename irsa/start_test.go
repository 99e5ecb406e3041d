//go:build unix && (amd64 || arm64)

package irsa_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
)

// replay returns a client that returns the first response of another client to each request.
func replay(t *testing.T, client *http.Client) *http.Client {
	var reply []byte
	var header http.Header
	return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if reply == nil {
			response, err := client.Transport.RoundTrip(r)
			require.NoError(t, err)
			defer func() { _ = response.Body.Close() }()
			reply, err = io.ReadAll(response.Body)
			require.NoError(t, err)
			header = response.Header
		}
		_, _ = io.Copy(io.Discard, r.Body)
		return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(bytes.NewReader(reply)), ContentLength: int64(len(reply)), Request: r}, nil
	})}
}

// memoryOf returns the average numbers of allocations and bytes allocated by a call of f.
func memoryOf(f func()) (allocations, allocated float64) {
	const runs = 100
	f() // excludes one-time initialization
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / runs, float64(after.TotalAlloc-before.TotalAlloc) / runs
}

// Until its first credentials, a program must not allocate much more than a program that uses only the
// SDK's provider. The test excludes one-time initialization and the connection, which make up three
// quarters of the allocations and are the same for both. internal/test/bench measures whole programs. On other
// systems, files and pointers need other amounts of memory.
func TestNewAndFirstRetrieveAllocateLittleMoreThanSDK(t *testing.T) {
	k, pod := newPod(t)
	client := replay(t, k.HTTPClient())
	var started []aws.CredentialsProvider
	start := func(p aws.CredentialsProvider) {
		_, err := p.Retrieve(context.Background())
		require.NoError(t, err)
		started = append(started, p)
	}
	sdkCount, sdkBytes := memoryOf(func() {
		client := sts.New(sts.Options{Region: pod.Region(), HTTPClient: client, Credentials: aws.AnonymousCredentials{}})
		start(aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(client, pod.RoleARN(), stscreds.IdentityTokenFile(pod.TokenFile()))))
	})
	count, bytes := memoryOf(func() {
		p, err := irsa.New(pod.Options, func(o *irsa.Options) { o.HTTPClient = client })
		require.NoError(t, err)
		start(p)
	})
	t.Logf("allocations: %.0f, the SDK %.0f; bytes: %.0f, the SDK %.0f", count, sdkCount, bytes, sdkBytes)
	assert.LessOrEqual(t, count, 1.35*sdkCount, "allocations")
	assert.LessOrEqual(t, bytes, 1.35*sdkBytes, "bytes")
	for _, p := range started {
		if p, ok := p.(*irsa.Provider); ok {
			assert.NoError(t, p.Close())
		}
	}
}
