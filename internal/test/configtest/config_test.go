package configtest

import (
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/test/testenv"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// TestMain runs the tests without the settings of the machine.
func TestMain(m *testing.M) {
	testenv.Clear()
	os.Exit(m.Run())
}

// setups are the ways to set the Provider in a configuration.
var setups = []struct {
	name    string
	wrapped bool // the SDK's cache wraps the Provider
	load    func(context.Context, *irsa.Provider) (aws.Config, error)
}{
	{"config.WithCredentialsProvider", true, func(ctx context.Context, p *irsa.Provider) (aws.Config, error) {
		return config.LoadDefaultConfig(ctx, config.WithCredentialsProvider(p))
	}},
	{"config.WithCredentialsProvider with an ExpiryWindow of five minutes", true, func(ctx context.Context, p *irsa.Provider) (aws.Config, error) {
		return config.LoadDefaultConfig(ctx, config.WithCredentialsProvider(p),
			config.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) {
				o.ExpiryWindow, o.ExpiryWindowJitterFrac = 5*time.Minute, 0.5
			}))
	}},
	{"cfg.Credentials", false, func(ctx context.Context, p *irsa.Provider) (aws.Config, error) {
		cfg, err := config.LoadDefaultConfig(ctx)
		cfg.Credentials = p
		return cfg, err
	}},
}

// newPod returns a test cluster and a pod whose role trusts its service account.
func newPod(t *testing.T, optFns ...func(*irsatest.PodOptions)) (*irsatest.Cluster, *irsatest.Pod) {
	t.Helper()
	k := irsatest.New(t)
	sa := k.ServiceAccount("shop", "cart")
	return k, k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)), optFns...)
}

// newProvider returns a Provider that is closed at the end of the test.
func newProvider(t *testing.T, optFns ...func(*irsa.Options)) *irsa.Provider {
	t.Helper()
	p, err := irsa.New(optFns...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

func TestProviderInConfigServesFreshCredentials(t *testing.T) {
	for _, lifetime := range []time.Duration{10 * time.Minute, time.Hour} {
		for _, setup := range setups {
			t.Run(setup.name+", a lifetime of "+lifetime.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k, pod := newPod(t)
					k.STS.SetLifetime(lifetime)
					k.STS.SetLatency(300 * time.Millisecond)
					p := newProvider(t, pod.Options)
					cfg, err := setup.load(t.Context(), p)
					require.NoError(t, err)
					_, wrapped := cfg.Credentials.(*aws.CredentialsCache)
					require.Equal(t, setup.wrapped, wrapped)
					_, err = cfg.Credentials.Retrieve(t.Context())
					require.NoError(t, err)

					expiries := map[string]time.Time{}
					for range 24 * 60 * 6 {
						start := time.Now()
						creds := retrieve(t, cfg.Credentials)
						if expiries[creds.AccessKeyID].IsZero() {
							expiries[creds.AccessKeyID] = start.Add(lifetime)
						}
						require.True(t, creds.Expires.After(start) && expiries[creds.AccessKeyID].After(start), "expired")
						time.Sleep(10 * time.Second)
					}
					assert.Greater(t, len(expiries), int(24*time.Hour/lifetime)-2)
				})
			})
		}
	}
}

// retrieve calls Retrieve, which must return credentials without waiting.
func retrieve(t *testing.T, provider aws.CredentialsProvider) aws.Credentials {
	t.Helper()
	start := time.Now()
	creds, err := provider.Retrieve(t.Context())
	require.NoError(t, err)
	require.Zero(t, time.Since(start), "a caller waited")
	return creds
}

// The Cache wraps the SDK's own cache. After 100 hours, outages begin at different times of the hour.
func TestCacheWithDefaultConfigServesDuringOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t, func(o *irsatest.PodOptions) { o.AutoRotate = true })
		pod.Setenv()
		t.Setenv("AWS_ENDPOINT_URL_STS", "") // the HTTP client routes the SDK's endpoints to the cluster
		t.Setenv("AWS_CA_BUNDLE", "")
		k.STS.SetLatency(300 * time.Millisecond)
		cfg, err := config.LoadDefaultConfig(t.Context(), config.WithHTTPClient(k.HTTPClient()))
		require.NoError(t, err)
		require.IsType(t, &aws.CredentialsCache{}, cfg.Credentials)
		c := cache.New(cfg.Credentials)
		t.Cleanup(func() { assert.NoError(t, c.Close()) })
		_, err = c.Retrieve(t.Context())
		require.NoError(t, err)
		serve := func(duration time.Duration) {
			for end := time.Now().Add(duration); time.Now().Before(end); time.Sleep(time.Second) {
				retrieve(t, c)
			}
		}

		serve(100 * time.Hour)
		assert.LessOrEqual(t, k.STS.CallCount(), 170)
		assert.Greater(t, k.STS.CallCount(), 100)
		for minute := 0; minute < 60; minute += 3 {
			serve(time.Hour + time.Duration(minute)*time.Minute)
			k.STS.Down()
			serve(15 * time.Minute)
			k.STS.Up()
			serve(time.Hour)
		}
	})
}
