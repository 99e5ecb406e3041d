package exchange

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
)

// An SDK client that the application sets in AssumeRoleOptions signs with a session token of its own.
func TestCheckedClientRedactsResponseToSDKClient(t *testing.T) {
	const session = "IQoJb3JpZ2luX2VjEXAMPLETOKEN"
	document := "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>it must be x-amz-security-token:~</Message></Error></ErrorResponse>"
	for _, tt := range []struct {
		status int
		body   string
		want   string
	}{
		{http.StatusForbidden, document, "SignatureDoesNotMatch: it must be x-amz-security-token:[redacted] (HTTP 403)"},
		{http.StatusForbidden, "<html>~", "error response without a code (HTTP 403)"},
		{http.StatusInternalServerError, "~", "error response without a code (HTTP 500)"},
		{http.StatusOK, "<html>~", "the response contains no credentials: it is not from STS"},
	} {
		requests := 0
		var log bytes.Buffer
		own := sts.New(sts.Options{
			Region: "us-west-2", Credentials: Signer{Credentials: aws.Credentials{AccessKeyID: "ASIAOWN", SecretAccessKey: "own-secret-key", SessionToken: session}},
			Logger: logging.NewStandardLogger(&log), ClientLogMode: aws.LogSigning | aws.LogRequestWithBody | aws.LogResponseWithBody,
			HTTPClient: client(func(r *http.Request) (*http.Response, error) {
				requests++
				body := strings.ReplaceAll(tt.body, "~", r.Header.Get("X-Amz-Security-Token"))
				header := http.Header{"X-Amzn-Requestid": {session}}
				return &http.Response{StatusCode: tt.status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
			}),
		})
		input := &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::111122223333:role/r"), RoleSessionName: aws.String("session"), DurationSeconds: aws.Int32(3600)}
		_, err := NewCheckedClient(own, *input.RoleArn).AssumeRole(t.Context(), input)
		var failure *explain.RequestError
		require.ErrorAs(t, err, &failure)
		assert.EqualError(t, err, tt.want)
		assert.NotContains(t, fmt.Sprintf("%+v %#v", failure, failure)+log.String(), session[:secretRun])
		assert.Equal(t, 1, requests, "the backoff of the Cache is the only retry")
	}
}

// A server or a client can repeat the keys of an earlier response.
func TestCheckedClientRedactsKeysOfLastResponse(t *testing.T) {
	const secret, session = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2VjEXAMPLETOKEN"
	body := strings.ReplaceAll(success(goodARN, secret, session), "RoleWithWebIdentity", "Role")
	own := sts.New(sts.Options{
		Region: "us-west-2", Credentials: Signer{Credentials: aws.Credentials{AccessKeyID: "ASIAOWN", SecretAccessKey: "own-secret-key"}},
		HTTPClient: client(func(r *http.Request) (*http.Response, error) {
			status := http.StatusOK
			if !strings.Contains(body, goodARN) {
				status = http.StatusForbidden
			}
			return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		}),
	})
	input := &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::111122223333:role/r"), RoleSessionName: aws.String("session"), DurationSeconds: aws.Int32(3600)}
	c := NewCheckedClient(own, *input.RoleArn)
	_, err := c.AssumeRole(t.Context(), input)
	require.NoError(t, err)
	body = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>" + secret + " " + session + "</Message></Error></ErrorResponse>"
	_, err = c.AssumeRole(t.Context(), input)
	require.EqualError(t, err, "AccessDenied: [redacted] [redacted] (HTTP 403)")
}

// wrapped is an application's wrapper around an SDK client.
type wrapped struct{ *sts.Client }

// With aws.LogSigning, the signer of an SDK client logs the session token.
func TestClientDoesNotLogSigning(t *testing.T) {
	const session = "IQoJb3JpZ2luX2VjEXAMPLETOKEN"
	signer := Signer{Credentials: aws.Credentials{AccessKeyID: "ASIAOWN", SecretAccessKey: "own-secret-key", SessionToken: session}}
	input := &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::111122223333:role/r"), RoleSessionName: aws.String("session"), DurationSeconds: aws.Int32(3600)}
	for _, v4Signer := range []sts.HTTPSignerV4{nil, struct{ *v4.Signer }{v4.NewSigner()}} {
		var log bytes.Buffer
		own := sts.New(sts.Options{
			Region: "us-west-2", Credentials: signer, HTTPSignerV4: v4Signer, Logger: logging.NewStandardLogger(&log), ClientLogMode: aws.LogSigning,
			HTTPClient: answering(strings.ReplaceAll(success(goodARN, "secret", "session"), "RoleWithWebIdentity", "Role")),
		})
		for _, api := range []interface {
			stscreds.AssumeRoleWithWebIdentityAPIClient
			stscreds.AssumeRoleAPIClient
		}{own, wrapped{own}} {
			_, err := NewCheckedClient(api, *input.RoleArn).AssumeRole(t.Context(), input)
			require.NoError(t, err)
			c := config.Config{RoleARN: *input.RoleArn, Region: "us-west-2", Shared: &config.Shared{STS: api}}
			_, err = NewClient(&c, 0).AssumeRole(t.Context(), &c, new(State), input, signer)
			require.NoError(t, err)
			assert.Empty(t, log.String(), "%T", api)
		}
		_, err := own.AssumeRole(t.Context(), input)
		require.NoError(t, err)
		assert.Contains(t, log.String(), session, "other users of the client see their logs")
	}
}

// A proxy that has lost its state swallows all requests on an existing connection.
func TestClientUsesNewConnectionForWrappedSDKClient(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "HTTP/1.1", r.Proto)
		assert.True(t, r.Close)
		_, _ = io.WriteString(w, strings.ReplaceAll(success(goodARN, "secret", "session"), "RoleWithWebIdentity", "Role"))
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	own := sts.New(sts.Options{
		Region: "us-west-2", BaseEndpoint: &server.URL, Credentials: Signer{Credentials: aws.Credentials{AccessKeyID: "ASIAOWN", SecretAccessKey: "own-secret-key"}},
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		}),
	})
	input := &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::111122223333:role/r"), RoleSessionName: aws.String("session"), DurationSeconds: aws.Int32(3600)}
	for range 2 {
		_, err := exchangeOf(t, server.URL, &config.Shared{STS: wrapped{own}}, 1).Retrieve(t.Context())
		require.NoError(t, err)
		_, err = NewCheckedClient(own, *input.RoleArn).AssumeRole(t.Context(), input)
		require.NoError(t, err)
	}
}
