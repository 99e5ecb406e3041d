package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// cluster is shared by all tests: an API server, and a MinIO that trusts its tokens. Each test
// uses a separate namespace. The tests run sequentially, because some of them restart a server.
// Only three long tests run in parallel, after the others.
var cluster struct {
	dir        string
	programs   struct{ controlPlane, minio string } // their paths
	authority  *authority
	signingKey string // the file of the API server's key
	api        *apiServer
	minio      *minioServer
	kubelet    *kubelet
}

func TestMain(m *testing.M) {
	for _, variable := range os.Environ() { // the environment of the machine must not affect the tests
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			_ = os.Unsetenv(name)
		}
	}
	syscall.Umask(0o022) // the modes of the volumes' files
	klog.SetOutput(os.Stderr)
	code := 1
	if err := startCluster(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
	} else {
		code = m.Run()
	}
	if code != 0 {
		showLogs()
	}
	if cluster.minio != nil {
		cluster.minio.stop()
	}
	if cluster.api != nil {
		cluster.api.stop()
	}
	_ = os.RemoveAll(cluster.dir)
	os.Exit(code)
}

func startCluster() (err error) {
	if cluster.dir, err = os.MkdirTemp("", "irsakit-e2e-"); err != nil {
		return err
	}
	if err = buildPrograms(); err != nil {
		return err
	}
	if cluster.authority, err = newAuthority(directory("pki")); err != nil {
		return err
	}
	if cluster.signingKey, err = newSigningKey(directory("pki/first.key")); err != nil {
		return err
	}
	if cluster.api, err = startAPIServer(cluster.signingKey); err != nil {
		return err
	}
	cluster.kubelet = newKubelet(clock.RealClock{})
	cluster.minio, err = startMinIO()
	return err
}

func directory(name string) string { return filepath.Join(cluster.dir, name) }

// showLogs prints the ends of the servers' logs.
func showLogs() {
	logs, _ := filepath.Glob(directory("*.log")) // the pattern is valid
	for _, path := range logs {
		data, err := os.ReadFile(path)
		fmt.Fprintf(os.Stderr, "\n== the end of %s\n%s\n", filepath.Base(path), data[max(0, len(data)-8000):])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}
