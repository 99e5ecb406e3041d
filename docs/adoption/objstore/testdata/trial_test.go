// Copy this file into providers/s3 of objstore.

package s3

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// trial returns a bucket with aws_sdk_auth, and the number of requests without a valid signature.
func trial(t *testing.T) (*irsatest.Cluster, *Bucket, *atomic.Int64) {
	k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = true })
	sa := k.ServiceAccount("monitoring", "thanos")
	role := k.Role("thanos", irsatest.Trust(sa))
	pod := k.Pod(sa, role)
	pod.Setenv()
	var unsigned atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := k.STS.Authenticate(r, "s3"); err != nil {
			unsigned.Add(1)
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	t.Cleanup(server.Close)
	b, err := NewBucketWithConfig(log.NewNopLogger(), Config{
		Bucket: "blocks", Endpoint: strings.TrimPrefix(server.URL, "http://"), Insecure: true, Region: "us-west-2",
		AWSSDKAuth: true, MaxRetries: 1, PartSize: 16 << 20,
	}, "test", nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return k, b, &unsigned
}

func uploads(t *testing.T, b *Bucket, n int) (failed int) {
	for range n {
		if b.Upload(t.Context(), "a", strings.NewReader("x")) != nil {
			failed++
		}
	}
	return failed
}

func TestTrialValid(t *testing.T) {
	k, b, unsigned := trial(t)
	failed := uploads(t, b, 100)
	assert.Zero(t, failed)
	assert.Equal(t, 1, k.STS.CallCount())
	assert.Zero(t, unsigned.Load())
}

func TestTrialDenied(t *testing.T) {
	k, b, unsigned := trial(t)
	k.STS.Fail(irsatest.AccessDenied, -1)
	failed := uploads(t, b, 100)
	assert.Equal(t, 100, failed)
	assert.Less(t, k.STS.CallCount(), 100)
	assert.Zero(t, unsigned.Load())
}

func TestTrialUnavailable(t *testing.T) {
	k, b, unsigned := trial(t)
	k.STS.Fail(irsatest.Unavailable, -1)
	failed := uploads(t, b, 100)
	assert.Equal(t, 100, failed)
	assert.Less(t, k.STS.CallCount(), 100)
	assert.Zero(t, unsigned.Load())
}
