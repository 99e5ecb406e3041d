package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

// roundTripper is a function that implements [http.RoundTripper].
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCacheWithAnonymousCredentialsLeavesRequestsUnsigned(t *testing.T) {
	c := cache.New(aws.AnonymousCredentials{})
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	for name, credentials := range map[string]aws.CredentialsProvider{"Cache": c, "MinTTL view": c.MinTTL(time.Minute)} {
		t.Run(name, func(t *testing.T) {
			var sent []*http.Request
			client := s3.New(s3.Options{
				Region:      "us-west-2",
				Credentials: credentials,
				HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
					sent = append(sent, r)
					return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
				})},
			})
			_, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("public"), Key: aws.String("f")})
			require.NoError(t, err)
			require.Len(t, sent, 1)
			assert.Empty(t, sent[0].Header.Get("Authorization"))
			assert.NotContains(t, sent[0].URL.RawQuery, "X-Amz-Signature")
		})
	}
}
