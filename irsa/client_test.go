package irsa_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// padded inserts whitespace before the credentials in each response.
type padded struct {
	http.RoundTripper
	size int
}

func (p padded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := p.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	text := strings.Replace(string(body), "<Credentials>", strings.Repeat(" ", p.size)+"<Credentials>", 1)
	response.Body, response.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	return response, err
}

func TestClientReadsResponsesUpTo256KiB(t *testing.T) {
	for size, kind := range map[int]error{200 << 10: nil, 300 << 10: irsa.ErrUnavailable} {
		k, pod := newPod(t)
		p := newProvider(t, pod.Options, func(o *irsa.Options) {
			o.HTTPClient = &http.Client{Transport: padded{k.HTTPClient().Transport, size}}
		})
		assert.ErrorIs(t, p.Refresh(t.Context()), kind, "%d bytes of white space", size)
	}
}

// twoRequests is an STS client that returns the response to the first of its two requests.
type twoRequests struct {
	*sts.Client
	run   func(first, second func())
	given *string // the access key ID that it has returned
}

func (c twoRequests) AssumeRoleWithWebIdentity(ctx context.Context, in *sts.AssumeRoleWithWebIdentityInput, optFns ...func(*sts.Options)) (out *sts.AssumeRoleWithWebIdentityOutput, err error) {
	c.run(func() {
		if out, err = c.Client.AssumeRoleWithWebIdentity(ctx, in, optFns...); err == nil {
			*c.given = *out.Credentials.AccessKeyId
		}
	}, func() { _, _ = c.Client.AssumeRoleWithWebIdentity(ctx, in, optFns...) })
	return out, err
}

func TestProviderUsesResponseThatClientReturns(t *testing.T) {
	for name, run := range map[string]func(k *irsatest.Cluster, first, second func()){
		"the second succeeds too": func(_ *irsatest.Cluster, first, second func()) { first(); second() },
		"the second fails": func(k *irsatest.Cluster, first, second func()) {
			first()
			k.STS.Fail(irsatest.InternalFailure, 1)
			second()
		},
		"both at the same time": func(_ *irsatest.Cluster, first, second func()) {
			var running sync.WaitGroup
			running.Go(first)
			running.Go(second)
			running.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			var given string
			k, pod := newPod(t)
			p := newProvider(t, pod.Options, func(o *irsa.Options) {
				client := sts.New(sts.Options{Region: o.Region, HTTPClient: o.HTTPClient})
				o.STS = twoRequests{client, func(first, second func()) { run(k, first, second) }, &given}
			})
			creds, err := p.Retrieve(t.Context())
			require.NoError(t, err)
			assert.Equal(t, given, creds.AccessKeyID)
		})
	}
}

// rejectingClient is an STS client that returns an error after STS has responded.
type rejectingClient struct {
	*sts.Client
	reject func(*sts.AssumeRoleWithWebIdentityOutput) error
}

func (c rejectingClient) AssumeRoleWithWebIdentity(ctx context.Context, in *sts.AssumeRoleWithWebIdentityInput, optFns ...func(*sts.Options)) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	out, err := c.Client.AssumeRoleWithWebIdentity(ctx, in, optFns...)
	if err == nil {
		err = c.reject(out)
	}
	return nil, err
}

func TestErrorContainsErrorOfClientAfterResponse(t *testing.T) {
	var key string
	for name, tt := range map[string]struct {
		reject func(*sts.AssumeRoleWithWebIdentityOutput) error
		want   string
	}{
		"error": {func(*sts.AssumeRoleWithWebIdentityOutput) error { return assert.AnError }, assert.AnError.Error()},
		"error with a key": {func(out *sts.AssumeRoleWithWebIdentityOutput) error {
			key = *out.Credentials.SecretAccessKey
			return fmt.Errorf("cannot store %s: %w", key, fs.ErrPermission)
		}, "cannot store [redacted]: permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			_, pod := newPod(t)
			p := newProvider(t, pod.Options, func(o *irsa.Options) {
				o.STS = rejectingClient{sts.New(sts.Options{Region: o.Region, HTTPClient: o.HTTPClient}), tt.reject}
			})
			err := p.Refresh(t.Context())
			require.ErrorIs(t, err, irsa.ErrUnavailable)
			require.ErrorContains(t, err, tt.want)
			assert.ErrorContains(t, err, "correct the program's own STS client")
			if key != "" {
				requireNoSecret(t, fmt.Sprintf("%+v", err), key)
			}
		})
	}
}
