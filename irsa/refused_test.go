package irsa_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// A request that is refused is made again with new credentials. Where those are called
// expired too, they are served as little as the first ones.
func TestCredentialsThatTheSecondAttemptCallsExpiredAreNotServedEither(t *testing.T) {
	callers := map[string]func(*testing.T, *irsatest.Cluster, *irsa.Provider, *irsatest.Role) error{
		"a hop": func(t *testing.T, _ *irsatest.Cluster, p *irsa.Provider, far *irsatest.Role) error {
			hop, err := p.AssumeRole(far.ARN())
			require.NoError(t, err)
			return hop.Refresh(t.Context())
		},
		"a service's client": func(t *testing.T, k *irsatest.Cluster, p *irsa.Provider, far *irsatest.Role) error {
			client := sts.NewFromConfig(p.AWSConfig(), func(o *sts.Options) { o.HTTPClient = k.HTTPClient() })
			_, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(far.ARN()), RoleSessionName: aws.String("cart")})
			return err
		},
	}
	for name, call := range callers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newCluster(t)
				sa := k.ServiceAccount("shop", "cart")
				near := k.Role("near", irsatest.Trust(sa))
				far := k.Role("far", irsatest.Trust(near))
				p := newProvider(t, k.Pod(sa, near).Options)
				first := retrieve(t, p)
				far.Fail(irsatest.ExpiredToken, 2)
				require.Error(t, call(t, k, p, far))
				_, err := p.Retrieve(t.Context())
				require.ErrorIs(t, err, irsa.ErrRefused)
				time.Sleep(time.Minute)
				retrieve(t, p)
				assert.NotEqual(t, first.AccessKeyID, retrieve(t, p).AccessKeyID)
			})
		})
	}
}
