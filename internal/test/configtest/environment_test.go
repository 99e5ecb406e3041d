package configtest

import (
	"strings"
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
	k, err := irsatest.Start()
	require.NoError(t, err)
	defer k.Close()
	sa := k.ServiceAccount("shop", "cart")
	first := k.Role("s3-writer", irsatest.Trust(sa))
	second := k.Role("auditor", irsatest.InAccount("444455556666"), irsatest.Trust(first))
	pod := k.Pod(sa, first)
	setEnvironment(t, pod.Environ())

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

	pod.Rotate(irsatest.Invalid("expired"))
	cfg, err = config.LoadDefaultConfig(t.Context())
	require.NoError(t, err)
	_, err = sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil)
	var expired *types.ExpiredTokenException
	require.ErrorAs(t, err, &expired)
}

// setEnvironment sets the variables, and clears other settings that the SDK would read on
// the machine.
func setEnvironment(t *testing.T, environ []string) {
	t.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ROLE_SESSION_NAME"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
}
