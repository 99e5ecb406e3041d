package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/irsakit/irsakit/internal/test/testenv"
)

// cluster is shared by all tests: an API server, and a MinIO that trusts its tokens. Each test
// uses a separate namespace. The tests run sequentially, because some of them restart a server.
// Only three long tests run in parallel, after the others.
var cluster struct {
	dir        string
	programs   struct{ etcd, apiServer, minio string } // their paths
	authority  authority
	signingKey string // the file of the API server's key
	etcd       server
	api        apiServer
	minio      minioServer
	kubelet    *kubelet
}

func TestMain(m *testing.M) {
	testenv.Clear()
	syscall.Umask(0o022) // the modes of the volumes' files
	klog.SetOutput(os.Stderr)
	code := 1
	defer func() {
		if code != 0 {
			showLogs()
		}
		for _, s := range []*server{&cluster.minio.server, &cluster.api.server, &cluster.etcd} {
			s.stop()
		}
		_ = os.RemoveAll(cluster.dir)
	}()
	startCluster()
	code = m.Run()
}

// startCluster builds the examples that run in pods, and the servers, and starts the servers. Go builds only
// what has changed. The servers are in Go's build cache, because they are built by "go tool".
func startCluster() {
	cluster.dir = must(os.MkdirTemp("", "irsakit-e2e-"))
	for _, example := range []string{"doctor", "minio", "s3"} {
		goCommand("../../../examples/"+example, "build", "-o", directory("bin/"+example), ".")
	}
	cluster.programs.etcd = goCommand(".", "tool", "-n", "go.etcd.io/etcd/server/v3")
	cluster.programs.apiServer = goCommand(".", "tool", "-n", "kube-apiserver")
	cluster.programs.minio = goCommand("minio", "tool", "-n", "minio")
	cluster.authority = newAuthority(directory("pki"))
	cluster.signingKey = newSigningKey(directory("pki/first.key"))
	cluster.etcd = startEtcd()
	cluster.api = startAPIServer()
	cluster.kubelet = newKubelet(clock.RealClock{})
	cluster.minio = minioServer{newServer()}
	check(cluster.minio.restart())
}

func directory(name string) string { return filepath.Join(cluster.dir, name) }

// must returns the value of a step of the set-up. An error ends the tests.
func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// goCommand runs the go command in dir and returns its output.
func goCommand(dir string, args ...string) string {
	fmt.Fprintf(os.Stderr, "go %s: this takes minutes the first time, so use -timeout 40m\n", strings.Join(args, " "))
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT} // on SIGINT, the go command stops its compilers
	return strings.TrimSpace(string(must(cmd.Output())))
}

// showLogs prints the ends of the servers' logs.
func showLogs() {
	logs, _ := filepath.Glob(directory("*.log")) // the pattern is valid
	for _, path := range logs {
		data, _ := os.ReadFile(path) // "" if it cannot be read
		fmt.Fprintf(os.Stderr, "\n== the end of %s\n%s\n", filepath.Base(path), data[max(0, len(data)-8000):])
	}
}
