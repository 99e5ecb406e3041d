package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testenv"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// TestMain runs the tests, or the command itself if CREDENTIAL_PROCESS is set.
func TestMain(m *testing.M) {
	if os.Getenv("CREDENTIAL_PROCESS") != "" {
		main()
		return
	}
	testenv.Clear()
	os.Exit(m.Run())
}

// setPod sets the environment of a pod with the service account cart. The pod's role trusts the
// service account trusted.
func setPod(t *testing.T, trusted string) *irsatest.Cluster {
	t.Helper()
	k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = true })
	role := k.Role("s3-writer", irsatest.Trust(k.ServiceAccount("shop", trusted)))
	k.Pod(k.ServiceAccount("shop", "cart"), role).Setenv()
	return k
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
	assert.Equal(t, "111122223333", document["AccountId"])
	assert.Len(t, document, 6)
	expires, err := time.Parse(time.RFC3339, document["Expiration"].(string))
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(time.Hour), expires, time.Minute)
}

func TestRunWritesNothingWithoutCredentials(t *testing.T) {
	k := setPod(t, "search")
	ctx, cancel := context.WithCancel(t.Context())
	var waiter sync.WaitGroup
	defer waiter.Wait()
	waiter.Go(func() {
		defer cancel()
		assert.Eventually(t, func() bool { return k.STS.CallCount() > 1 }, time.Minute, 10*time.Millisecond)
	})
	var stdout, stderr bytes.Buffer
	err := run(ctx, []string{"-timeout", "2m"}, &stdout, &stderr)
	require.ErrorIs(t, err, irsa.ErrAccessDenied)
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, stdout.String())
}

func TestWriteCredentialsReportsUnresponsiveSTS(t *testing.T) {
	for _, timeout := range []time.Duration{time.Second, 15 * time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			k := irsatest.New(t)
			sa := k.ServiceAccount("shop", "cart")
			k.STS.Fail(irsatest.Hang, -1)
			var stdout bytes.Buffer
			start := time.Now()
			err := writeCredentials(t.Context(), &stdout, timeout, k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa))).Options)
			require.ErrorContains(t, err, "check network policies, the proxy and the route or VPC endpoint to STS")
			assert.Equal(t, timeout, time.Since(start))
			assert.Empty(t, stdout.String())
		})
	}
}

func TestRunReportsMissingConfiguration(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.ErrorIs(t, run(t.Context(), nil, &stdout, &stderr), irsa.ErrNotConfigured)
	assert.Empty(t, stdout.String())
}

func TestRunPrintsUsageOnlyWhenAsked(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-h"}, &stdout, &stderr))
	assert.Contains(t, stderr.String(), "-timeout")
	assert.Empty(t, stdout.String())
	stderr.Reset()
	require.ErrorContains(t, run(t.Context(), []string{"-no-such-flag"}, &stdout, &stderr), "-no-such-flag; -h lists the flags")
	require.ErrorContains(t, run(t.Context(), []string{"argument"}, &stdout, &stderr), `unexpected argument "argument"`)
	assert.Empty(t, stdout.String()+stderr.String())
}

func TestDemoRunsWithoutCluster(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-demo"}, &stdout, &stderr))
	assert.Contains(t, stdout.String(), `"Version":1`)
}

// quote quotes the path of a program for the shell with which the SDK starts it.
func quote(path string) string {
	if runtime.GOOS == "windows" { // the SDK's cmd.exe accepts no quotes
		return path
	}
	return "'" + path + "'"
}

func TestProcessProvidesCredentialsToSDK(t *testing.T) {
	setPod(t, "cart")
	t.Setenv("CREDENTIAL_PROCESS", "1")
	command, err := os.Executable()
	require.NoError(t, err)
	credentials, err := processcreds.NewProvider(quote(command)).Retrieve(t.Context())
	require.NoError(t, err)
	assert.Equal(t, processcreds.ProviderName, credentials.Source)
	assert.Equal(t, "111122223333", credentials.AccountID)
	assert.True(t, credentials.CanExpire)
	assert.WithinDuration(t, time.Now().Add(time.Hour), credentials.Expires, time.Minute)
}

func TestProcessWritesOneLineOnFailure(t *testing.T) {
	t.Parallel()
	command, err := os.Executable()
	require.NoError(t, err)
	missing := "AWS_WEB_IDENTITY_TOKEN_FILE=" + filepath.Join(t.TempDir(), "none")
	pod := []string{"AWS_ROLE_ARN=arn:aws:iam::111122223333:role/cart", "AWS_REGION=us-west-2"}
	for _, tt := range []struct {
		name        string
		environment []string
		arguments   []string
		want        string
	}{
		{"not configured", nil, nil, "AWS_WEB_IDENTITY_TOKEN_FILE"},
		{"several settings", []string{"AWS_ROLE_ARN=cart", "AWS_WEB_IDENTITY_TOKEN_FILE=token\nfile", "AWS_REGION=us west"}, nil, "invalid configuration"},
		{"no token file", append(pod, missing), []string{"-timeout", "1s"}, "no valid token"}, // several attempts
		{"no time", append(pod, missing), []string{"-timeout", "0"}, "-timeout must be positive"},
		{"cleartext", append(pod, missing, "AWS_ENDPOINT_URL_STS=http://sts.corp.example"), nil, "-insecure-endpoint"},
		{"unknown flag", nil, []string{"-no-such-flag"}, "flag provided but not defined"},
		{"flag with a line break", nil, []string{"-timeout", "1\n2"}, "invalid value"},
		{"argument", nil, []string{"cart"}, "unexpected argument"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			process := exec.CommandContext(t.Context(), command, tt.arguments...)
			process.Env = append(append(os.Environ(), "CREDENTIAL_PROCESS=1"), tt.environment...)
			stdout, err := process.Output()
			var exitErr *exec.ExitError
			require.ErrorAs(t, err, &exitErr)
			assert.Equal(t, 1, exitErr.ExitCode())
			assert.Empty(t, stdout)
			stderr := string(exitErr.Stderr)
			assert.Contains(t, stderr, tt.want)
			assert.True(t, strings.HasPrefix(stderr, "credential-process: "), stderr)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			assert.True(t, strings.HasSuffix(stderr, "\n"), stderr)
		})
	}
}

func TestProcessReportsClosedStdout(t *testing.T) {
	setPod(t, "cart")
	t.Setenv("CREDENTIAL_PROCESS", "1")
	command, err := os.Executable()
	require.NoError(t, err)
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	defer writer.Close()
	var stderr bytes.Buffer
	process := exec.CommandContext(t.Context(), command)
	process.Stdout, process.Stderr = writer, &stderr
	require.Error(t, process.Run())
	assert.Equal(t, 1, process.ProcessState.ExitCode())
	assert.Equal(t, 1, strings.Count(stderr.String(), "\n"), stderr.String())
}

func TestProcessReportsFailureToSDK(t *testing.T) {
	t.Setenv("CREDENTIAL_PROCESS", "1")
	command, err := os.Executable()
	require.NoError(t, err)
	_, err = processcreds.NewProvider(quote(command)).Retrieve(t.Context())
	require.ErrorContains(t, err, "exit status 1")
}
