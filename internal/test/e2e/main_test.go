package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/klog/v2"
)

// cluster is shared by all tests: an API server, and a MinIO that trusts its tokens. Each test
// uses a separate namespace. The tests run sequentially, because some of them restart a server.
// Only two long tests run in parallel, after the others.
var cluster struct {
	dir        string // readable for all users
	programs   programs
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
	stopCluster()
	_ = os.RemoveAll(cluster.dir)
	os.Exit(code)
}

func startCluster() error {
	var err error
	if cluster.dir, err = os.MkdirTemp("", "irsakit-e2e-"); err != nil {
		return err
	}
	for _, dir := range []string{cluster.dir, folder("bin"), folder("pki"), folder("pods")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o755); err != nil { // regardless of the umask
			return err
		}
	}
	if cluster.programs, err = buildPrograms(folder("bin")); err != nil {
		return err
	}
	if cluster.authority, err = newAuthority(folder("pki")); err != nil {
		return err
	}
	if cluster.signingKey, err = newSigningKey(folder("pki/first.key")); err != nil {
		return err
	}
	if err := os.MkdirAll(folder("control-plane"), 0o700); err != nil {
		return err
	}
	cluster.api, err = startAPIServer(cluster.programs.controlPlane, folder("control-plane"), cluster.authority, cluster.signingKey)
	if err != nil {
		return err
	}
	cluster.kubelet = newKubelet(cluster.api.client)
	cluster.minio, err = startMinIO(cluster.programs.minio, folder("minio"), cluster.authority, cluster.api.url())
	return err
}

func folder(name string) string { return filepath.Join(cluster.dir, name) }

func stopCluster() {
	if m := cluster.minio; m != nil && m.process != nil {
		m.process.stop()
	}
	if a := cluster.api; a != nil && a.process != nil {
		a.process.stop()
	}
}

// showLogs prints the ends of the servers' logs.
func showLogs() {
	logs, _ := filepath.Glob(folder("*/*.log")) // the pattern is valid
	for _, path := range logs {
		fmt.Fprintf(os.Stderr, "\n== the end of %s\n%s\n", filepath.Base(path), tail(path, 40))
	}
}
