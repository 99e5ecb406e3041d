package irsa_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// service is an AWS-compatible service that accepts or rejects access keys.
type service struct {
	judge func(key string) (code string) // "" accepts the key

	mu   sync.Mutex
	keys []string // the access keys of the requests
}

func (s *service) Do(r *http.Request) (*http.Response, error) {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(rest, "/")
	s.mu.Lock()
	s.keys = append(s.keys, key)
	s.mu.Unlock()
	status, body := 200, `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`
	if code := s.judge(key); code != "" {
		status, body = 403, errorXML(code, "rejected")
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// client returns a service client for the host.
func (s *service) client(cfg aws.Config, host string) *sts.Client {
	return sts.NewFromConfig(cfg, func(o *sts.Options) {
		o.HTTPClient, o.BaseEndpoint, o.Retryer = s, aws.String("https://"+host), aws.NopRetryer{}
	})
}

func rejecting(code string) *service {
	return &service{judge: func(string) string { return code }}
}

func accepting() *service { return rejecting("") }

// configs lists the ways to obtain a configuration.
var configs = map[string]func(*irsa.Provider) aws.Config{
	"AWSConfig": (*irsa.Provider).AWSConfig,
	"Configure": func(p *irsa.Provider) aws.Config {
		cfg := aws.Config{Region: "us-west-2"}
		p.Configure(&cfg)
		return cfg
	},
}

// providers lists the kinds of Providers.
var providers = map[string]func(*testing.T) (*irsatest.Cluster, *irsa.Provider){
	"New": func(t *testing.T) (*irsatest.Cluster, *irsa.Provider) {
		k, pod := newPod(t)
		return k, newProvider(t, pod.Options)
	},
	"Pool": func(t *testing.T) (*irsatest.Cluster, *irsa.Provider) {
		k, pod := newPod(t)
		pool := newPool(t, pod)
		p, err := pool.Provider(irsa.RoleOptions{})
		require.NoError(t, err)
		return k, p
	},
	"AssumeRole": func(t *testing.T) (*irsatest.Cluster, *irsa.Provider) {
		k := newCluster(t)
		sa := k.ServiceAccount("shop", "cart")
		near := k.Role("near", irsatest.Trust(sa))
		far := k.Role("far", irsatest.Trust(near))
		p, err := newProvider(t, k.Pod(sa, near).Options).AssumeRole(far.ARN())
		require.NoError(t, err)
		return k, p
	},
}

// exchanges returns the number of exchanges of a role.
func exchanges(k *irsatest.Cluster, p *irsa.Provider) (n int) {
	for _, call := range k.STS.Calls() {
		if call.RoleARN == p.Status().RoleARN {
			n++
		}
	}
	return n
}

func identify(ctx context.Context, client *sts.Client) error {
	_, err := client.GetCallerIdentity(ctx, nil)
	return err
}

func requireCode(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	require.ErrorAs(t, err, &api)
	require.Equal(t, code, api.ErrorCode())
}
