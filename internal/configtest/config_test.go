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

// The ways in which a provider comes into a configuration.
var ways = []struct {
	name  string
	outer bool // the SDK's cache is around the provider
	load  func(context.Context, *irsa.Provider) (aws.Config, error)
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

func TestThroughTheConfigPackageCredentialsAreFreshAndNeverExpired(t *testing.T) {
	for _, life := range []time.Duration{10 * time.Minute, time.Hour} {
		for _, way := range ways {
			t.Run(way.name+", a life of "+life.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k := irsatest.New(t)
					sa := k.ServiceAccount("shop", "cart")
					pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
					k.STS.SetLife(life)
					k.STS.SetLatency(300 * time.Millisecond)
					p, err := irsa.New(pod.Options)
					require.NoError(t, err)
					defer p.Close()
					cfg, err := way.load(t.Context(), p)
					require.NoError(t, err)
					_, cached := cfg.Credentials.(*aws.CredentialsCache)
					require.Equal(t, way.outer, cached)
					_, err = cfg.Credentials.Retrieve(t.Context())
					require.NoError(t, err)

					ends := map[string]time.Time{}
					for range 24 * 60 * 6 {
						start := time.Now()
						creds, err := cfg.Credentials.Retrieve(t.Context())
						require.NoError(t, err)
						require.Zero(t, time.Since(start), "a caller waited")
						if ends[creds.AccessKeyID].IsZero() {
							ends[creds.AccessKeyID] = start.Add(life)
						}
						require.True(t, creds.Expires.After(start) && ends[creds.AccessKeyID].After(start), "expired")
						time.Sleep(10 * time.Second)
					}
					assert.Greater(t, len(ends), int(24*time.Hour/life)-2)
				})
			})
		}
	}
}
