package configtest

import (
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// The SDK works with the test cluster without irsakit.
func TestClusterServesSDKWithoutIrsakit(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ROLE_SESSION_NAME"} {
		t.Setenv(name, "") // the settings of the machine must not affect the test
	}
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = true })
	sa := k.ServiceAccount("shop", "cart")
	first := k.Role("s3-writer", irsatest.Trust(sa))
	second := k.Role("auditor", irsatest.InAccount("444455556666"), irsatest.Trust(first))
	pod := k.Pod(sa, first)
	pod.Setenv()

	cfg, err := config.LoadDefaultConfig(t.Context())
	require.NoError(t, err)
	identity, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, "111122223333", *identity.Account)
	assert.Contains(t, *identity.Arn, "arn:aws:sts::111122223333:assumed-role/s3-writer/")

	cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), second.ARN()))
	identity, err = sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, "444455556666", *identity.Account)

	pod.Rotate(irsatest.Expired)
	cfg, err = config.LoadDefaultConfig(t.Context())
	require.NoError(t, err)
	_, err = sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil)
	var expired *types.ExpiredTokenException
	require.ErrorAs(t, err, &expired)
}
