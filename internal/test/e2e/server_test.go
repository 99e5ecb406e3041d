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

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// A process is a server that the tests have started.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has exited
}

// startServer starts a program, appends its output to the log, and polls ready until it returns nil,
// the program has exited, or two minutes have passed. The program is killed when the tests end, even
// if they are killed.
func startServer(cmd *exec.Cmd, log string, ready func(context.Context) error) (*process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() { // ends when the program exits; stop and kill wait for that
		defer close(p.done)
		_ = cmd.Wait()
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for {
		if err = ready(ctx); err == nil {
			return p, nil
		}
		select {
		case <-p.done:
			return nil, fmt.Errorf("%s has exited: see its log", filepath.Base(cmd.Path))
		case <-ctx.Done():
			p.stop()
			return nil, fmt.Errorf("%s is not ready: %w", filepath.Base(cmd.Path), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop terminates the program. It kills the program if it does not exit within 30 seconds. A nil
// process has stopped.
func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		p.kill()
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// freePort returns a free port below the ephemeral ports, so that a server can be restarted
// on it.
func freePort() (int, error) {
	for range 100 {
		port := 15000 + rand.IntN(17000)
		listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("no free port")
}

// programs contains the paths of the programs that the tests run. The first two programs are
// in Go's build cache, because they are built by "go tool".
type programs struct {
	controlPlane, minio          string
	application, doctor, uploads string
}

// buildPrograms builds the programs without the race detector. Go builds only what has
// changed.
func buildPrograms(dir string) (programs, error) {
	p := programs{application: dir + "/application", doctor: dir + "/doctor", uploads: dir + "/uploads"}
	_, err := goCommand("the pod's programs", ".", "build", "-o", dir+"/", "./application", "github.com/irsakit/irsakit/examples/doctor")
	if err != nil {
		return p, err
	}
	if _, err = goCommand("the program with minio-go", "../../../examples/minio", "build", "-o", p.uploads, "."); err != nil {
		return p, err
	}
	if p.controlPlane, err = goCommand("the Kubernetes API server", ".", "tool", "-n", "controlplane"); err != nil {
		return p, err
	}
	p.minio, err = goCommand("MinIO", "minio", "tool", "-n", "minio")
	return p, err
}

// goCommand runs the go command and returns its output.
func goCommand(what, dir string, args ...string) (string, error) {
	fmt.Fprintf(os.Stderr, "building %s: this takes minutes the first time, so use -timeout 40m\n", what)
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT} // on SIGINT, the go command stops its compilers
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return "", fmt.Errorf("building %s: %w\n%s", what, err, failed.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// An authority is the certificate authority of the servers.
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
		cert.WriteCert(ca.file("server.crt"), certificates),
		keyutil.WriteKey(ca.file("server.key"), key),
		os.WriteFile(ca.file("tokens.csv"), []byte(adminToken+",admin,admin,system:masters\n"), 0o600),
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

func (ca *authority) file(name string) string { return filepath.Join(ca.dir, name) }

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
