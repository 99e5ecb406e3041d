package irsa_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// Root can read every file, so the application runs in a child process as another user.
func TestErrorForUnreadableTokenAdvisesFSGroup(t *testing.T) {
	if file := os.Getenv(childOutput); file != "" {
		failure := (&broken{T: t}).failure(retrieveOnce)
		require.ErrorIs(t, failure, irsa.ErrTokenFile)
		require.ErrorIs(t, failure, fs.ErrPermission)
		report := irsa.Diagnose(t.Context())
		assert.Equal(t, "failed", statusOf(report, "token-permission"))
		require.NoError(t, os.WriteFile(file, []byte(textOf(failure, report)), 0o600))
		return
	}
	k := newCluster(t, func(o *irsatest.Options) { o.Loopback, o.IssuerURL, o.Dir = true, issuerURL, t.TempDir() })
	b := &broken{T: t, Cluster: k, sa: k.ServiceAccount("shop", "cart")}
	b.pod = k.Pod(b.sa, k.Role("s3-writer", irsatest.Trust(b.sa)))
	output := t.TempDir()
	child := exec.CommandContext(t.Context(), "/proc/self/fd/3", "-test.run=^"+t.Name()+"$")
	if os.Getuid() == 0 {
		b.pod.Chmod(0o600)
		child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		require.NoError(t, os.Chown(output, 65532, 65532))
		require.NoError(t, os.Chmod("/proc/self/exe", 0o755)) // regardless of the umask
	} else {
		b.pod.Chmod(0)
	}
	for dir := filepath.Dir(b.pod.TokenFile()); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	program, err := os.Open("/proc/self/exe")
	require.NoError(t, err)
	defer program.Close()
	child.ExtraFiles = []*os.File{program} // the other user has no access to its directory
	child.Env = append(b.pod.Environ(), childOutput+"="+filepath.Join(output, "text"), "TMPDIR="+output)
	log, err := child.CombinedOutput()
	require.NoError(t, err, "%s", log)

	text, err := os.ReadFile(filepath.Join(output, "text"))
	require.NoError(t, err)
	requireNoSecret(t, string(text), b.pod.Token())
	constant := strings.NewReplacer("-rw-------", "MODE", "----------", "MODE").Replace(b.constant(string(text)))
	compare(t, "permission", "# the token is root's, and the process is not\n\n"+constant)
}
