package configtest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

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
				o.ExpiryWindow = 5 * time.Minute
				o.ExpiryWindowJitterFrac = 0.5
			}))
	}},
	{"cfg.Credentials", false, func(ctx context.Context, p *irsa.Provider) (aws.Config, error) {
		cfg, err := config.LoadDefaultConfig(ctx)
		cfg.Credentials = p
		return cfg, err
	}},
}

func TestProviderInConfigServesFreshCredentials(t *testing.T) {
	for _, lifetime := range []time.Duration{10 * time.Minute, time.Hour} {
		for _, setup := range setups {
			t.Run(setup.name+", a lifetime of "+lifetime.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k := irsatest.New(t)
					sa := k.ServiceAccount("shop", "cart")
					pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
					k.STS.SetLifetime(lifetime)
					k.STS.SetLatency(300 * time.Millisecond)
					p, err := irsa.New(pod.Options)
					require.NoError(t, err)
					defer p.Close()
					cfg, err := setup.load(t.Context(), p)
					require.NoError(t, err)
					_, wrapped := cfg.Credentials.(*aws.CredentialsCache)
					require.Equal(t, setup.wrapped, wrapped)
					_, err = cfg.Credentials.Retrieve(t.Context())
					require.NoError(t, err)

					expiries := map[string]time.Time{}
					for range 24 * 60 * 6 {
						start := time.Now()
						creds, err := cfg.Credentials.Retrieve(t.Context())
						require.NoError(t, err)
						require.Zero(t, time.Since(start), "a caller waited")
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
