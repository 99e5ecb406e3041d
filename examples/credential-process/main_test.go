package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// TestMain runs the tests, or the command itself if CREDENTIAL_PROCESS is set.
func TestMain(m *testing.M) {
	if os.Getenv("CREDENTIAL_PROCESS") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// setPod sets the environment of a pod of the service account cart. The pod's role trusts
// the service account trusted.
func setPod(t *testing.T, trusted string) {
	t.Helper()
	k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = true })
	role := k.Role("s3-writer", irsatest.Trust(k.ServiceAccount("shop", trusted)))
	k.Pod(k.ServiceAccount("shop", "cart"), role).Setenv()
}

func TestRunWritesExpectedDocument(t *testing.T) {
	setPod(t, "cart")
	var stdout, stderr bytes.Buffer
	require.NoError(t, run(t.Context(), nil, &stdout, &stderr))
	assert.Empty(t, stderr.String())

	var document map[string]any
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &document))
	assert.InDelta(t, 1, document["Version"], 0)
	for _, name := range []string{"AccessKeyId", "SecretAccessKey", "SessionToken"} {
		assert.NotEmpty(t, document[name], name)
	}
	assert.Len(t, document, 5)
	expires, err := time.Parse(time.RFC3339, document["Expiration"].(string))
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(time.Hour), expires, time.Minute)
}

func TestRunWritesNothingWithoutCredentials(t *testing.T) {
	setPod(t, "search")
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{"-timeout", "1s"}, &stdout, &stderr)
	require.ErrorIs(t, err, irsa.ErrAccessDenied)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Empty(t, stdout.String())
}

func TestRunReportsMissingConfiguration(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.ErrorIs(t, run(t.Context(), nil, &stdout, &stderr), irsa.ErrNotConfigured)
	assert.Empty(t, stdout.String())
	require.Error(t, run(t.Context(), []string{"-no-such-flag"}, &stdout, &stderr))
	assert.Contains(t, stderr.String(), "-timeout")
	assert.Empty(t, stdout.String())
}

func TestDemoNeedsNoCluster(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-demo"}, &stdout, &stderr))
	assert.Contains(t, stdout.String(), `"Version":1`)
}

func TestProcessProvidesCredentialsToSDK(t *testing.T) {
	setPod(t, "cart")
	t.Setenv("CREDENTIAL_PROCESS", "1")
	command, err := os.Executable()
	require.NoError(t, err)
	credentials, err := processcreds.NewProvider("'" + command + "'").Retrieve(t.Context())
	require.NoError(t, err)
	assert.Equal(t, processcreds.ProviderName, credentials.Source)
	assert.True(t, credentials.CanExpire)
	assert.WithinDuration(t, time.Now().Add(time.Hour), credentials.Expires, time.Minute)
}

func TestProcessWritesOnlyToStderrOnFailure(t *testing.T) {
	t.Setenv("CREDENTIAL_PROCESS", "1")
	command, err := os.Executable()
	require.NoError(t, err)
	stdout, err := exec.CommandContext(t.Context(), command).Output()
	var exitErr *exec.ExitError
	require.ErrorAs(t, err, &exitErr)
	assert.Equal(t, 1, exitErr.ExitCode())
	assert.Empty(t, stdout)
	assert.Contains(t, string(exitErr.Stderr), "AWS_WEB_IDENTITY_TOKEN_FILE")
}

func TestProcessReportsFailureToSDK(t *testing.T) {
	t.Setenv("CREDENTIAL_PROCESS", "1")
	command, err := os.Executable()
	require.NoError(t, err)
	_, err = processcreds.NewProvider("'" + command + "'").Retrieve(t.Context())
	require.ErrorContains(t, err, "exit status 1")
}
