package objstore_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/thanos-io/objstore/providers/s3"

	"github.com/irsakit/irsakit/docs/adoption/objstore"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// store is an S3 in memory. It accepts each upload that is signed with credentials of the STS.
type store struct {
	sts              *irsatest.STS
	signed, unsigned atomic.Int64 // numbers of requests
}

func (s *store) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if _, err := s.sts.Authenticate(r, "s3"); err != nil {
		s.unsigned.Add(1)
		w.WriteHeader(http.StatusForbidden)
	} else {
		s.signed.Add(1)
	}
	response := w.Result()
	response.Request = r
	return response, nil
}

// newPod returns a store, and a pod whose role may use it.
func newPod(t *testing.T, optFns ...func(*irsatest.Options)) (*irsatest.Pod, *store) {
	t.Helper()
	k := irsatest.New(t, optFns...)
	sa := k.ServiceAccount("monitoring", "thanos")
	pod := k.Pod(sa, k.Role("thanos", irsatest.Trust(sa)), func(o *irsatest.PodOptions) { o.AutoRotate = true })
	return pod, &store{sts: k.STS}
}

func newClient(t *testing.T, pod *irsatest.Pod, s *store) (upload func(context.Context) error) {
	t.Helper()
	c, err := objstore.NewAWSCredentials(t.Context(), "us-west-2", pod.Options, func(o *irsa.Options) { o.Logger = slog.New(slog.DiscardHandler) })
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	client, err := minio.New("s3.example", &minio.Options{Creds: credentials.New(c), Secure: true, Region: "us-west-2", Transport: s, MaxRetries: 1})
	require.NoError(t, err)
	return func(ctx context.Context) error {
		_, err := client.PutObject(ctx, "blocks", "1", strings.NewReader("block"), 5, minio.PutObjectOptions{})
		return err
	}
}

// failures returns how many of n uploads fail.
func failures(ctx context.Context, n int, upload func(context.Context) error) (failed int) {
	for range n {
		if upload(ctx) != nil {
			failed++
		}
	}
	return failed
}

func TestAWSCredentialsSendNoUnsignedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod, s := newPod(t)
		upload := newClient(t, pod, s)
		s.sts.Fail(irsatest.AccessDenied, -1)

		assert.Equal(t, 20, failures(t.Context(), 20, upload))

		assert.Zero(t, s.unsigned.Load())
		assert.Equal(t, 1, s.sts.CallCount())
	})
}

// The same uploads with objstore's own credentials.
func TestAWSSDKAuthSendsUnsignedRequests(t *testing.T) {
	pod, s := newPod(t, func(o *irsatest.Options) { o.Loopback = true })
	pod.Setenv()
	bucket, err := s3.NewBucketWithConfig(log.NewNopLogger(), s3.Config{
		Bucket: "blocks", Endpoint: "s3.example", Region: "us-west-2", AWSSDKAuth: true, MaxRetries: 1, PartSize: 16 << 20,
	}, "test", func(http.RoundTripper) http.RoundTripper { return s })
	require.NoError(t, err)
	s.sts.Fail(irsatest.AccessDenied, -1)

	assert.Equal(t, 20, failures(t.Context(), 20, func(ctx context.Context) error {
		return bucket.Upload(ctx, "1", strings.NewReader("block"))
	}))

	assert.EqualValues(t, 20, s.unsigned.Load())
	assert.Equal(t, 20, s.sts.CallCount())
}

func TestAWSCredentialsServeDuringOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod, s := newPod(t)
		upload := newClient(t, pod, s)
		require.NoError(t, upload(t.Context()))
		time.Sleep(50 * time.Minute)
		s.sts.Down()
		require.NoError(t, upload(t.Context()))
	})
}

func TestNewAWSCredentialsUsesOtherCredentialsOnlyWithoutIRSA(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDOTHER")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	c, err := objstore.NewAWSCredentials(t.Context(), "us-west-2")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	value, err := c.Retrieve()
	require.NoError(t, err)
	assert.Equal(t, "AKIDOTHER", value.AccessKeyID)

	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/thanos") // without a token file
	_, err = objstore.NewAWSCredentials(t.Context(), "us-west-2")
	require.ErrorIs(t, err, irsa.ErrNotConfigured)
}
