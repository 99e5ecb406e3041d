package e2e

import (
	"context"
	cryptorand "crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// A server is a program that serves HTTPS on a port of the loopback interface.
type server struct {
	port  string
	cmd   *exec.Cmd
	ended context.Context // done when the program has exited
}

// newServer returns a server that has not started, with a free port. The port is below the ephemeral
// ports, so that the server can be restarted on it.
func newServer() (server, error) {
	for range 100 {
		port := strconv.Itoa(15000 + rand.IntN(17000))
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err == nil {
			return server{port: port}, listener.Close()
		}
	}
	return server{}, errors.New("no free port")
}

func (s *server) address() string { return "127.0.0.1:" + s.port }
func (s *server) url() string     { return "https://" + s.address() }

// run starts a program, appends its output to the log, and polls ready until it returns nil, the
// program has exited, or two minutes have passed. The program is killed when the tests end, even if
// they are killed.
func (s *server) run(cmd *exec.Cmd, log string, ready func(context.Context) error) error {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended, end := context.WithCancel(context.Background())
	s.cmd, s.ended = cmd, ended
	go func() { // ends when the program exits; stop and kill wait for that
		defer end()
		_ = cmd.Wait()
	}()
	var reason error
	err = wait.PollUntilContextTimeout(ended, 50*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		reason = ready(ctx)
		return reason == nil, nil
	})
	if err != nil {
		s.stop()
		return fmt.Errorf("%s is not ready, see its log: %w: %w", filepath.Base(cmd.Path), err, reason)
	}
	return nil
}

// stop terminates the program if it was started. It kills the program if it does not exit within 30
// seconds.
func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended.Done():
	case <-time.After(30 * time.Second):
		s.kill()
	}
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended.Done()
}

// buildPrograms builds the examples that run in pods, and the servers, without the race detector. Go
// builds only what has changed. The servers are in Go's build cache, because they are built by "go tool".
func buildPrograms() error {
	for _, example := range []string{"doctor", "minio", "s3"} {
		if _, err := goCommand("../../../examples/"+example, "build", "-o", directory("bin/"+example), "."); err != nil {
			return err
		}
	}
	var err error
	if cluster.programs.controlPlane, err = goCommand(".", "tool", "-n", "controlplane"); err != nil {
		return err
	}
	cluster.programs.minio, err = goCommand("minio", "tool", "-n", "minio")
	return err
}

// goCommand runs the go command in dir and returns its output.
func goCommand(dir string, args ...string) (string, error) {
	fmt.Fprintf(os.Stderr, "go %s: this takes minutes the first time, so use -timeout 40m\n", strings.Join(args, " "))
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT} // on SIGINT, the go command stops its compilers
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// An authority is the certificate authority of the servers. The names of its files are those that
// MinIO expects.
type authority struct {
	dir    string
	client *http.Client // trusts only this authority
}

// adminToken authenticates the administrator at the API server and at MinIO, which run only during
// the tests.
const adminToken = "only-for-this-test"

// newAuthority writes to dir the certificate of the servers with that of the authority, and the
// administrator's token.
func newAuthority(dir string) (*authority, error) {
	ca := &authority{dir: dir}
	certificates, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", nil, nil)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(
		cert.WriteCert(ca.certificates(), certificates),
		cert.WriteCert(filepath.Join(dir, "CAs", "ca.crt"), certificates),
		keyutil.WriteKey(ca.key(), key),
		os.WriteFile(ca.tokens(), []byte(adminToken+",admin,admin,system:masters\n"), 0o600),
	); err != nil {
		return nil, err
	}
	pool, err := cert.NewPoolFromBytes(certificates)
	ca.client = &http.Client{
		Timeout:   2 * time.Minute, // a busy machine must not cause a failure
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 32},
	}
	return ca, err
}

func (ca *authority) certificates() string { return filepath.Join(ca.dir, "public.crt") }
func (ca *authority) key() string          { return filepath.Join(ca.dir, "private.key") }
func (ca *authority) tokens() string       { return filepath.Join(ca.dir, "tokens.csv") }

// newSigningKey writes a signing key for service account tokens, of the kind that kubeadm
// creates.
func newSigningKey(path string) (string, error) {
	key, err := rsa.GenerateKey(cryptorand.Reader, 2048)
	if err != nil {
		return "", err
	}
	data, err := keyutil.MarshalPrivateKeyToPEM(key)
	return path, errors.Join(err, keyutil.WriteKey(path, data))
}
