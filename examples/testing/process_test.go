package shop_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestAShellScriptGetsCredentials(t *testing.T) {
	needs(t, "curl", "--version")
	out := runInPod(t, "sh", "testdata/exchange.sh")
	assert.Contains(t, out, "<SubjectFromWebIdentityToken>system:serviceaccount:shop:cart</SubjectFromWebIdentityToken>")
}

func TestTheAWSCLIGetsCredentials(t *testing.T) {
	needs(t, "aws", "--version")
	out := runInPod(t, "aws", "sts", "get-caller-identity", "--query", "Arn", "--output", "text")
	assert.Contains(t, out, "arn:aws:sts::111122223333:assumed-role/uploader/")
}

func TestPythonGetsCredentials(t *testing.T) {
	needs(t, "python3", "-c", "import boto3")
	out := runInPod(t, "python3", "-c", `import boto3; print(boto3.client("sts").get_caller_identity()["Arn"])`)
	assert.Contains(t, out, "arn:aws:sts::111122223333:assumed-role/uploader/")
}

// runInPod runs a program in the environment of a pod, and returns what it prints.
func runInPod(t *testing.T, name string, args ...string) string {
	t.Helper()
	k, err := irsatest.Start()
	require.NoError(t, err)
	defer k.Close()
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))

	child := exec.CommandContext(t.Context(), name, args...)
	child.Env = append(pod.Environ(),
		"PATH="+os.Getenv("PATH"),
		"HOME="+t.TempDir(),              // no profiles of the developer's
		"HTTPS_PROXY=http://127.0.0.1:1", // and no way to AWS
	)
	child.Stderr = t.Output()
	out, err := child.Output()
	require.NoError(t, err)
	for _, call := range k.STS.Calls() {
		assert.Empty(t, call.Err, call.Reason)
	}
	return string(out)
}

// needs skips the test where a program is not installed.
func needs(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Skipf("%s: %v %s", name, err, out)
	}
}
