package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testenv"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// TestMain runs the tests without the settings of the machine.
func TestMain(m *testing.M) {
	testenv.Clear()
	os.Exit(m.Run())
}

// setEnvironment sets the given variables, and unsets all other SDK variables.
func setEnvironment(t *testing.T, variables ...string) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			require.NoError(t, os.Unsetenv(name))
		}
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
}

func newPod(t *testing.T) *irsatest.Pod {
	t.Helper()
	kit, err := irsatest.Start()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, kit.Close()) })
	sa := kit.ServiceAccount("shop", "cart")
	return kit.Pod(sa, kit.Role("cart", irsatest.Trust(sa)))
}

// podIdentityVariables returns the variables injected by EKS Pod Identity, for an agent on loopback.
func podIdentityVariables(t *testing.T) []string {
	t.Helper()
	agent := httptest.NewServer(http.HandlerFunc(serveAgent))
	t.Cleanup(agent.Close)
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("pod-identity-token"), 0o600))
	return []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + agent.URL, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=" + token, "AWS_REGION=us-west-2"}
}

func TestLoadConfigUsesInjectedCredentials(t *testing.T) {
	keys := []string{"AWS_ACCESS_KEY_ID=AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY=example", "AWS_REGION=us-west-2"}
	for name, c := range map[string]struct {
		variables []string
		source    string
	}{
		"IRSA":                  {newPod(t).Environ(), stscreds.WebIdentityProviderName},
		"IRSA and Pod Identity": {append(podIdentityVariables(t), newPod(t).Environ()...), stscreds.WebIdentityProviderName},
		"IRSA and static keys":  {append(keys[:2:2], newPod(t).Environ()...), stscreds.WebIdentityProviderName},
		"Pod Identity":          {podIdentityVariables(t), endpointcreds.ProviderName},
		"Pod Identity and keys": {append(keys[:2:2], podIdentityVariables(t)...), "EnvConfigCredentials"},
		"token in a variable":   {append(podIdentityVariables(t)[:1:1], "AWS_CONTAINER_AUTHORIZATION_TOKEN=pod-identity-token", keys[2]), endpointcreds.ProviderName},
		"neither":               {keys, "EnvConfigCredentials"},
	} {
		t.Run(name, func(t *testing.T) {
			setEnvironment(t, c.variables...)
			cfg, credentials, err := loadConfig(t.Context())
			require.NoError(t, err)
			defer credentials.Close() //nolint:errcheck // the source is idle
			creds, err := cfg.Credentials.Retrieve(t.Context())
			require.NoError(t, err)
			assert.Equal(t, c.source, creds.Source)
			assert.Equal(t, "us-west-2", cfg.Region)
		})
	}
}

func TestLoadConfigReturnsIRSAError(t *testing.T) {
	keys := []string{"AWS_ACCESS_KEY_ID=AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY=example", "AWS_REGION=us-west-2"}
	for name, variables := range map[string][]string{
		"no token file": {"AWS_ROLE_ARN=arn:aws:iam::111122223333:role/cart"},
		"no role":       {"AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/secrets/eks.amazonaws.com/serviceaccount/token"},
		"wrong role":    {"AWS_ROLE_ARN=cart", "AWS_WEB_IDENTITY_TOKEN_FILE=/token"},
	} {
		t.Run(name, func(t *testing.T) {
			setEnvironment(t, append(variables, keys...)...)
			_, _, err := loadConfig(t.Context())
			require.ErrorIs(t, err, irsa.ErrNotConfigured)
			assert.NotErrorIs(t, err, irsa.ErrNotInjected)
		})
	}
}

// If access to the role is denied, every request fails. The program does not use other credentials.
func TestLoadConfigDoesNotFallBackLater(t *testing.T) {
	kit, err := irsatest.Start()
	require.NoError(t, err)
	defer func() { assert.NoError(t, kit.Close()) }()
	pod := kit.Pod(kit.ServiceAccount("shop", "cart"), kit.Role("cart"))
	setEnvironment(t, append(pod.Environ(), "AWS_ACCESS_KEY_ID=AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY=example")...)
	cfg, credentials, err := loadConfig(t.Context())
	require.NoError(t, err)
	defer credentials.Close() //nolint:errcheck // the source is idle
	_, err = cfg.Credentials.Retrieve(t.Context())
	assert.ErrorIs(t, err, irsa.ErrAccessDenied)
}

func TestDemoPrintsREADMEOutput(t *testing.T) {
	setEnvironment(t)
	var out bytes.Buffer
	require.NoError(t, demo(t.Context(), &out))
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	assert.Contains(t, string(readme), "```text\n"+out.String()+"```")
}

func TestServeAgentExpiresInSixHours(t *testing.T) {
	setEnvironment(t, podIdentityVariables(t)...)
	cfg, credentials, err := loadConfig(t.Context())
	require.NoError(t, err)
	defer credentials.Close() //nolint:errcheck // the source is idle
	creds, err := cfg.Credentials.Retrieve(t.Context())
	require.NoError(t, err)
	assert.Greater(t, time.Until(creds.Expires), 5*time.Hour)
}
