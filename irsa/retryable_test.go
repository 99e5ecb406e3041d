package irsa_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// callService calls a service that must not receive a request, with the SDK's default retries.
func callService(ctx context.Context, credentials aws.CredentialsProvider) error {
	client := sts.New(sts.Options{
		Region: "us-west-2", Credentials: credentials,
		HTTPClient: smithyhttp.ClientDoFunc(func(*http.Request) (*http.Response, error) { panic("a request without credentials") }),
	})
	_, err := client.GetCallerIdentity(ctx, nil)
	return err
}

// The Provider has a backoff of its own. A retry of the SDK would only delay the error, use up the client's
// quota of retries, and hide the error if the context ends during its backoff.
func TestErrorIsNotRetriedByServiceClients(t *testing.T) {
	for name, fault := range map[string]irsatest.Fault{"throttled": irsatest.Throttling, "reset": irsatest.Reset} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				k.STS.Fail(fault, -1)
				p := newProvider(t, pod.Options)
				require.Error(t, p.Ready(t.Context())) // waits through the first failures
				for range 20 {
					start := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
					err := callService(ctx, p)
					cancel()
					var failure *irsa.Error
					require.ErrorAs(t, err, &failure)
					assert.Zero(t, time.Since(start))
				}
			})
		})
	}
}

func TestCacheErrorIsNotRetriedByServiceClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, &smithy.GenericAPIError{Code: "Throttling"}
		}))
		defer c.Close()
		_, err := c.Retrieve(t.Context())
		require.Error(t, err)
		start := time.Now()
		err = callService(t.Context(), c)
		var failure *cache.Error
		require.ErrorAs(t, err, &failure)
		assert.Zero(t, time.Since(start))
	})
}
