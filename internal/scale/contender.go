package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/irsakit/irsakit/irsa"
)

// contender is a way to hold the credentials of many roles.
type contender struct {
	name string
	hold func(setup, *traffic) (func(arn string) (aws.CredentialsProvider, error), func(), error)
}

func contenders() []contender {
	return []contender{{"static", static}, {"sdk", sdk}, {"irsakit", ours}}
}

// static are credentials without STS: what the requests themselves cost.
func static(setup, *traffic) (func(string) (aws.CredentialsProvider, error), func(), error) {
	return func(string) (aws.CredentialsProvider, error) {
		return credentials.NewStaticCredentialsProvider("ASIA", "secret", "token"), nil
	}, func() {}, nil
}

// sdk are the SDK's own providers, each in its cache, as its config package makes them,
// with one client for all.
func sdk(s setup, t *traffic) (func(string) (aws.CredentialsProvider, error), func(), error) {
	connections := t.client(awshttp.NewBuildableClient().GetTransport())
	client := sts.New(sts.Options{
		Region: "us-west-2", BaseEndpoint: aws.String(s.Endpoint), Credentials: aws.AnonymousCredentials{}, HTTPClient: connections,
	})
	return func(arn string) (aws.CredentialsProvider, error) {
		return aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(client, arn, stscreds.IdentityTokenFile(s.TokenFile))), nil
	}, connections.CloseIdleConnections, nil
}

// ours is a Pool.
func ours(s setup, t *traffic) (func(string) (aws.CredentialsProvider, error), func(), error) {
	transport := awshttp.NewBuildableClient().GetTransport()
	transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = 32, 32 // as the Pool's own client has
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) {
		o.Region, o.Endpoint, o.TokenFile, o.HTTPClient = "us-west-2", s.Endpoint, s.TokenFile, t.client(transport)
	})
	if err != nil {
		return nil, nil, err
	}
	return func(arn string) (aws.CredentialsProvider, error) {
		return pool.Provider(irsa.RoleOptions{RoleARN: arn})
	}, func() { _ = pool.Close() }, nil
}

// traffic counts the calls and connections of a contender.
type traffic struct {
	calls, running, connections atomic.Int64

	mu   sync.Mutex
	peak int64
}

// takePeak returns the most calls at the same time since it was last taken.
func (t *traffic) takePeak() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	peak := t.peak
	t.peak = 0
	return peak
}

// client returns one whose calls and connections are counted.
func (t *traffic) client(transport *http.Transport) *http.Client {
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		t.connections.Add(1)
		return (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, network, address)
	}
	return &http.Client{Transport: &counting{transport, t}}
}

type counting struct {
	http.RoundTripper
	traffic *traffic
}

// RoundTrip counts the call.
func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	t := c.traffic
	t.calls.Add(1)
	running := t.running.Add(1)
	t.mu.Lock()
	t.peak = max(t.peak, running)
	t.mu.Unlock()
	defer t.running.Add(-1)
	return c.RoundTripper.RoundTrip(r)
}

// CloseIdleConnections is what an http.Client looks for.
func (c *counting) CloseIdleConnections() { c.RoundTripper.(*http.Transport).CloseIdleConnections() }
