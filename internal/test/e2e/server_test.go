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
func newServer() server {
	for range 100 {
		port := strconv.Itoa(15000 + rand.IntN(17000))
		if listener, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = listener.Close()
			return server{port: port}
		}
	}
	panic("no free port")
}

func (s *server) address() string { return "127.0.0.1:" + s.port }
func (s *server) url() string     { return "https://" + s.address() }

// run starts a program, appends its output to a log, and polls ready until it returns nil, the
// program has exited, or two minutes have passed. The program is killed when the tests end, even if
// they are killed.
func (s *server) run(cmd *exec.Cmd, log string, ready func(context.Context) error) error {
	file, err := os.OpenFile(directory(log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
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

// An authority is the certificate authority of the servers. The names of its files are those that
// MinIO expects.
type authority struct {
	dir    string
	client *http.Client // trusts only this authority
}

// newAuthority writes the certificate and the key of the servers to dir.
func newAuthority(dir string) authority {
	ca := authority{dir: dir}
	certificates, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", nil, nil)
	check(err)
	check(errors.Join(
		cert.WriteCert(ca.certificates(), certificates),
		cert.WriteCert(filepath.Join(dir, "CAs", "ca.crt"), certificates),
		keyutil.WriteKey(ca.key(), key),
	))
	pool := must(cert.NewPoolFromBytes(certificates))
	ca.client = &http.Client{
		Timeout:   2 * time.Minute, // a busy machine must not cause a failure
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 32},
	}
	return ca
}

func (ca authority) certificates() string { return filepath.Join(ca.dir, "public.crt") }
func (ca authority) key() string          { return filepath.Join(ca.dir, "private.key") }

// newSigningKey writes a signing key for service account tokens, of the kind that kubeadm
// creates. It returns the path.
func newSigningKey(path string) string {
	key := must(rsa.GenerateKey(cryptorand.Reader, 2048))
	check(keyutil.WriteKey(path, must(keyutil.MarshalPrivateKeyToPEM(key))))
	return path
}
