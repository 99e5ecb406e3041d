package configtest

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// loadDefault returns a test cluster and the default configuration of the SDK in a pod of the
// cluster, with a Cache around the credentials.
func loadDefault(t *testing.T) (*irsatest.Cluster, aws.Config) {
	t.Helper()
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
	cfg.Credentials = c
	_, err = c.Retrieve(t.Context())
	require.NoError(t, err)
	return k, cfg
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

func TestCacheWithDefaultConfigRefreshesEarlyAndSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, cfg := loadDefault(t)
		for range 100 * 60 * 60 {
			retrieve(t, cfg.Credentials)
			time.Sleep(time.Second)
		}
		assert.LessOrEqual(t, k.STS.CallCount(), 170)
		assert.Greater(t, k.STS.CallCount(), 100)
	})
}

func TestCacheWithDefaultConfigSurvives15MinuteOutage(t *testing.T) {
	for minute := 0; minute < 60; minute += 3 {
		t.Run(fmt.Sprint("after ", minute, " minutes"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, cfg := loadDefault(t)
				began := time.Hour + time.Duration(minute)*time.Minute
				for start := time.Now(); time.Since(start) < 4*time.Hour; time.Sleep(time.Second) {
					switch time.Since(start) {
					case began:
						k.STS.Down()
					case began + 15*time.Minute:
						k.STS.Up()
					}
					retrieve(t, cfg.Credentials)
				}
			})
		})
	}
}
