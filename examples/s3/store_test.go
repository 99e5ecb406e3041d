package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
)

func TestStoreRejectsInvalidSignatures(t *testing.T) {
	change := func(r *http.Request) {} // applied to each request before it reaches the store
	s := newShop(t, func(store http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			change(r)
			store.ServeHTTP(w, r)
		})
	})
	file := s.write("f", "thank you")
	_, err := s.run("put", file, objectURL)
	require.NoError(t, err)
	header := func(name, from, to string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, strings.Replace(r.Header.Get(name), from, to, 1)) }
	}
	for _, tt := range []struct {
		want   string
		change func(*http.Request)
	}{
		{"AccessDenied", func(r *http.Request) { r.Header.Del("Authorization") }},
		{"InvalidAccessKeyId", header("Authorization", "Credential=A", "Credential=B")},
		{"InvalidAccessKeyId", func(r *http.Request) { r.Header.Del("X-Amz-Security-Token") }},
		{"InvalidAccessKeyId", func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "other") }},
		{"SignatureDoesNotMatch", header("Authorization", "/us-west-2/", "/us-west-1/")},
		{"AuthorizationHeaderMalformed", header("Authorization", "Signature=", "Other=")},
		{"SignatureDoesNotMatch", func(r *http.Request) { r.URL.Path = "/shop-receipts/other" }},
		{"XAmzContentSHA256Mismatch", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("sorry")) }},
		{"ExpiredToken", func(*http.Request) { s.kit.STS.SetClockSkew(5 * time.Hour) }},
	} {
		change = tt.change
		_, err := s.run("put", file, objectURL)
		assert.ErrorContains(t, err, tt.want)
		s.kit.STS.SetClockSkew(0)
	}
}

func TestStoreRejectsAlteredPresignedURL(t *testing.T) {
	s := newShop(t, unwrapped)
	_, err := s.run("put", s.write("f", "thank you"), objectURL)
	require.NoError(t, err)
	presigned, err := s.run("presign", objectURL, "-for", "15m")
	require.NoError(t, err)
	for _, change := range [][2]string{{"X-Amz-Expires=900", "X-Amz-Expires=901"}, {"receipt", "other"}, {"X-Amz-Credential=A", "X-Amz-Credential=B"}} {
		require.Contains(t, presigned, change[0])
		status, err := fetch(t.Context(), strings.Replace(presigned, change[0], change[1], 1))
		require.NoError(t, err)
		assert.Equal(t, "403 Forbidden", status, change[0])
	}
}

func TestStoreRejectsDelete(t *testing.T) {
	s := newShop(t, unwrapped)
	p, err := irsa.New(s.options)
	require.NoError(t, err)
	defer p.Close()
	client := command{endpoint: s.server, pathStyle: true}.client(p.AWSConfig())
	_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("b"), Key: aws.String("k")})
	assert.ErrorContains(t, err, "MethodNotAllowed")
}
