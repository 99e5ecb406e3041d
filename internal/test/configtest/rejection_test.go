package configtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// shop is a pod with a Provider, and an S3 client whose HTTP client rejects credentials as S3 does.
type shop struct {
	*irsatest.Cluster
	client *s3.Client
	reject string // the access key ID that is rejected, or "all"
	hosts  []string
	keys   []string // the access key IDs of the requests, in order
	bodies []string
}

func (s *shop) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(rest, "/")
	s.hosts, s.keys, s.bodies = append(s.hosts, r.URL.Host), append(s.keys, key), append(s.bodies, string(body))
	response := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}
	if s.reject == key || s.reject == "all" {
		response.StatusCode = http.StatusBadRequest
		if r.Method != http.MethodHead {
			response.Body = io.NopCloser(strings.NewReader("<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"))
		}
	}
	return response, nil
}

// inShop runs a test whose credentials are two minutes old and rejected. The STS responds after the latency.
func inShop(t *testing.T, name string, latency time.Duration, test func(*testing.T, *shop)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			k, pod := newPod(t)
			p := newProvider(t, pod.Options)
			s := &shop{Cluster: k, reject: retrieve(t, p).AccessKeyID}
			s.client = s3.NewFromConfig(p.AWSConfig(), func(o *s3.Options) { o.HTTPClient = s })
			time.Sleep(2 * time.Minute)
			k.STS.SetLatency(latency)
			test(t, s)
		})
	})
}

func (s *shop) put(ctx context.Context, body io.Reader, optFns ...func(*s3.Options)) error {
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("receipts"), Key: aws.String("1"), Body: body}, optFns...)
	return err
}

func TestRejectionRetriesPutWithSameBody(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for name, body := range map[string][]byte{"short": []byte("thank you"), "empty": nil, "large": large} {
		inShop(t, name, 0, func(t *testing.T, s *shop) {
			require.NoError(t, s.put(t.Context(), bytes.NewReader(body)))
			require.Len(t, s.keys, 2)
			assert.Equal(t, s.reject, s.keys[0])
			assert.NotEqual(t, s.keys[0], s.keys[1])
			assert.Equal(t, s.bodies[0], s.bodies[1])
			assert.Contains(t, s.bodies[1], string(body))
			assert.Equal(t, 2, s.STS.CallCount())
		})
	}
}

// A second request without the body of a stream would succeed and store an empty object. A response 400 to a HEAD
// request has no body and therefore no error code, so that it is unknown whether new credentials would help.
func TestRejectionThatCannotBeRetriedStartsBackgroundExchange(t *testing.T) {
	for name, tt := range map[string]struct {
		send func(context.Context, *shop) error
		code string
		body string
	}{
		"PUT of a stream": {func(ctx context.Context, s *shop) error {
			unsigned := s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
			return s.put(ctx, io.MultiReader(strings.NewReader("thank you")), unsigned) // cannot be rewound
		}, "ExpiredToken", "thank you"},
		"HEAD": {func(ctx context.Context, s *shop) error {
			_, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("receipts"), Key: aws.String("1")})
			return err
		}, "BadRequest", ""},
	} {
		inShop(t, name, time.Second, func(t *testing.T, s *shop) {
			start := time.Now()
			var api smithy.APIError
			require.ErrorAs(t, tt.send(t.Context(), s), &api)
			assert.Equal(t, tt.code, api.ErrorCode())
			assert.Zero(t, time.Since(start), "there is nothing to wait for")
			require.Len(t, s.bodies, 1)
			assert.Contains(t, s.bodies[0], tt.body)
			time.Sleep(10 * time.Second)
			assert.Equal(t, 2, s.STS.CallCount())
			assert.NoError(t, tt.send(t.Context(), s), "later requests have new credentials")
		})
	}
}

// The host name contains the bucket or the access point, but all of them belong to one service.
func TestRejectionsOfManyBucketsCountForOneHost(t *testing.T) {
	for name, tt := range map[string]struct{ bucket, host string }{
		"buckets":                    {"bucket-%d", "bucket-7.s3.us-west-2.amazonaws.com"},
		"access points":              {"arn:aws:s3:us-west-2:111122223333:accesspoint/ap-%d", "ap-7-111122223333.s3-accesspoint.us-west-2.amazonaws.com"},
		"Object Lambda":              {"arn:aws:s3-object-lambda:us-west-2:111122223333:accesspoint/ap-%d", "ap-7-111122223333.s3-object-lambda.us-west-2.amazonaws.com"},
		"Outposts":                   {"arn:aws:s3-outposts:us-west-2:111122223333:outpost/op-1/accesspoint/ap-%d", "ap-7-111122223333.op-1.s3-outposts.us-west-2.amazonaws.com"},
		"multi-Region access points": {"arn:aws:s3::111122223333:accesspoint/ap%d.mrap", "ap7.mrap.accesspoint.s3-global.amazonaws.com"},
	} {
		inShop(t, name, 0, func(t *testing.T, s *shop) {
			s.reject = "all"
			for n := range 3600 {
				_, err := s.client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(fmt.Sprintf(tt.bucket, n)), Key: aws.String("1")})
				require.Error(t, err)
				time.Sleep(time.Second)
			}
			assert.Contains(t, s.hosts, tt.host)
			assert.LessOrEqual(t, s.STS.CallCount(), 8)
		})
	}
}
