package irsa_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// anyHost returns a client that sends requests for any host to the kit's STS.
func anyHost(k *irsatest.Cluster) *http.Client {
	return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host = "https", "sts.us-west-2.amazonaws.com"
		return k.HTTPClient().Transport.RoundTrip(r)
	})}
}

func TestNewAcceptsCleartextOnlyOnLoopback(t *testing.T) {
	for endpoint, ok := range map[string]bool{
		"http://localhost:4566":              true,
		"http://LOCALHOST":                   true,
		"http://127.0.0.1:9000":              true,
		"http://127.1.2.3":                   true,
		"http://[::1]:9000":                  true,
		"http://[::ffff:127.0.0.1]":          true,
		"http://[::1%25lo]:9000":             false, // net/http would use a proxy
		"http://localhost.localstack.cloud":  false,
		"http://localstack:4566":             false,
		"http://minio.minio.svc:9000":        false,
		"http://sts.corp.example":            false,
		"http://10.0.0.1":                    false,
		"http://127.0.0.1.nip.io":            false,
		"http://localhost@sts.corp.example/": false,
		"http://2130706433":                  false, // 127.0.0.1 to some resolvers
	} {
		k, pod := newPod(t)
		set := func(o *irsa.Options) { o.Endpoint, o.HTTPClient = endpoint, anyHost(k) }
		p, err := irsa.New(pod.Options, set)
		assert.Equal(t, ok, err == nil, "%s: %v", endpoint, err)
		if err == nil {
			require.NoError(t, p.Close())
			continue
		}
		require.ErrorIs(t, err, irsa.ErrNotConfigured)
		if strings.Contains(endpoint, "@") {
			continue
		}
		require.ErrorContains(t, err, "Options.InsecureEndpoint")
		assert.Equal(t, "failed", statusOf(irsa.Diagnose(t.Context(), pod.Options, set), "endpoint"))
		_, err = irsa.NewPool(func(o *irsa.PoolOptions) { pod.Options(&o.Options); o.Endpoint = endpoint })
		require.ErrorContains(t, err, "Options.InsecureEndpoint")

		insecure := func(o *irsa.Options) { set(o); o.InsecureEndpoint = true }
		retrieve(t, newProvider(t, pod.Options, insecure))
		retrieve(t, pooled(t, newPool(t, pod, func(o *irsa.PoolOptions) { insecure(&o.Options) }), irsa.RoleOptions{}))
		assert.Equal(t, "passed", statusOf(irsa.Diagnose(t.Context(), pod.Options, insecure), "endpoint"))
	}
}

// A custom STS client must not send the token in cleartext either.
func TestProviderWithSTSClientDoesNotSendCleartext(t *testing.T) {
	k, pod := newPod(t)
	endpoint := "http://sts.corp.example"
	client := sts.New(sts.Options{Region: "us-west-2", BaseEndpoint: &endpoint, HTTPClient: anyHost(k)})
	_, err := irsa.New(pod.Options, func(o *irsa.Options) { o.STS = client })
	require.ErrorContains(t, err, "Options.InsecureEndpoint")

	p := newProvider(t, pod.Options, func(o *irsa.Options) { o.STS = wrapper{client} })
	err = p.Refresh(t.Context())
	require.ErrorIs(t, err, irsa.ErrNotConfigured)
	require.ErrorContains(t, err, "Options.InsecureEndpoint")
	assert.Zero(t, k.STS.CallCount())
	retrieve(t, newProvider(t, pod.Options, func(o *irsa.Options) { o.STS, o.InsecureEndpoint = client, true }))
	retrieve(t, newProvider(t, pod.Options, func(o *irsa.Options) { o.STS, o.InsecureEndpoint = wrapper{client}, true }))
}

func TestNewWarnsAboutEndpointInAnotherRegion(t *testing.T) {
	for _, tt := range []struct{ endpoint, region, other string }{
		{"https://sts.us-west-2.amazonaws.com", "us-west-2", ""},
		{"https://sts.us-west-2.amazonaws.com", "us-east-2", "us-west-2"},
		{"https://STS.us-west-2.amazonaws.com:443/", "us-east-2", "us-west-2"},
		{"https://sts-fips.us-east-1.amazonaws.com", "us-west-2", "us-east-1"},
		{"https://sts.us-east-1.api.aws", "us-west-2", "us-east-1"},
		{"https://sts.cn-north-1.amazonaws.com.cn", "cn-northwest-1", "cn-north-1"},
		{"https://vpce-0123-ab.sts.eu-west-1.vpce.amazonaws.com", "eu-central-1", "eu-west-1"},
		{"https://vpce-0123-ab.sts.eu-west-1.vpce.amazonaws.com", "eu-west-1", ""},
		{"https://sts.us-gov-west-1.amazonaws.com", "us-gov-east-1", "us-gov-west-1"},
		{"https://sts.amazonaws.com", "af-south-1", "us-east-1"},
		{"https://sts.amazonaws.com", "us-east-1", ""},
		{"https://minio.example", "us-east-1", ""},
		{"https://sts.corp.example", "us-east-1", ""},
	} {
		var log bytes.Buffer
		k, pod := newPod(t)
		set := func(o *irsa.Options) {
			o.HTTPClient = anyHost(k)
			o.Endpoint, o.Region, o.Logger = tt.endpoint, tt.region, slog.New(slog.NewTextHandler(&log, nil))
		}
		newProvider(t, pod.Options, set)
		_, err := irsa.NewPool(func(o *irsa.PoolOptions) { pod.Options(&o.Options); set(&o.Options) })
		require.NoError(t, err)
		status := "passed"
		if tt.other != "" {
			status = "failed"
		}
		report := irsa.Diagnose(t.Context(), pod.Options, set)
		assert.Equal(t, status, statusOf(report, "endpoint"), tt)
		assert.Equal(t, "passed", statusOf(report, "exchange"), "a web identity is not signed")
		if tt.other == "" {
			assert.Empty(t, log.String(), tt)
			continue
		}
		want := "belongs to " + tt.other + ", but the region is " + tt.region
		assert.Equal(t, 2, strings.Count(log.String(), want), "%v: %s", tt, &log)
		assert.Contains(t, fmt.Sprintf("%500v", report), want)
	}
}

// The role has its own region, and its requests are signed for that region. Web identity requests are
// not signed.
func TestPoolRejectsChainWithEndpointInAnotherRegion(t *testing.T) {
	chain := []irsa.ChainedRole{{RoleARN: "arn:aws:iam::111122223333:role/second"}}
	for _, tt := range []struct {
		endpoint, region string
		chain            []irsa.ChainedRole
		want             string
	}{
		{"https://sts.us-west-2.amazonaws.com", "eu-west-1", chain, "belongs to us-west-2, but the region is eu-west-1"},
		{"https://sts.us-west-2.amazonaws.com", "eu-west-1", nil, ""},
		{"https://sts.us-west-2.amazonaws.com", "us-west-2", chain, ""},
		{"https://sts.corp.example", "eu-west-1", chain, ""},
		{"", "eu-west-1", chain, ""},
	} {
		_, pod := newPod(t)
		p := newPool(t, pod, func(o *irsa.PoolOptions) { o.Endpoint = tt.endpoint })
		_, err := p.Provider(irsa.RoleOptions{Region: tt.region, Chain: tt.chain})
		if tt.want == "" {
			require.NoError(t, err, tt)
			continue
		}
		require.ErrorIs(t, err, irsa.ErrNotConfigured)
		assert.ErrorContains(t, err, "RoleOptions.Region; see https://github.com/irsakit/irsakit/blob/main/TROUBLESHOOTING.md#endpoint")
		assert.Contains(t, fmt.Sprintf("%+v", err), tt.want)
	}
}

func TestChainErrorExplainsEndpointInAnotherRegion(t *testing.T) {
	k, pod, roles := threeAccounts(t)
	p := newProvider(t, pod.Options, func(o *irsa.Options) {
		o.Endpoint, o.Region = "https://sts.us-east-2.amazonaws.com", "us-west-2"
		o.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if strings.Contains(r.Header.Get("Authorization"), "/us-west-2/sts/") {
				w := httptest.NewRecorder()
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.WriteString(errorXML("SignatureDoesNotMatch", "Credential should be scoped to a valid region, not 'us-west-2'. "))
				return w.Result(), nil
			}
			return k.HTTPClient().Transport.RoundTrip(r)
		})}
	})
	next, err := p.AssumeRole(roles[1].ARN())
	require.NoError(t, err)
	err = next.Refresh(t.Context())
	require.ErrorIs(t, err, irsa.ErrInvalidRequest)
	require.NotErrorIs(t, err, irsa.ErrRejected)
	assert.Contains(t, fmt.Sprintf("%+v", err), "another region than us-west-2")
	assert.ErrorContains(t, err, "#endpoint")
}
