package e2e

import (
	"context"
	cryptorand "crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
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

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
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

// run starts a program, appends its output to a log, and polls ready until it returns nil, the program has exited,
// or two minutes have passed. The program is killed when the tests end, even if they are killed.
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

// stop terminates the program if it was started. It kills the program if it does not exit within 30 seconds.
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

// An authority is the certificate authority of the servers. The names of its files are those that MinIO expects.
type authority struct {
	dir    string
	client *http.Client // trusts only this authority
}

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

const (
	issuer   = "https://kubernetes.shop.example" // the issuer of the API server's tokens. IAM registers neither an IP address nor a port.
	region   = "us-west-2"
	audience = "sts.amazonaws.com"
	bucket   = "shop-receipts"
)

// adminToken authenticates the administrator at the API server and at MinIO, which run only during the tests.
const adminToken = "only-for-this-test"

// startEtcd starts an etcd that listens only on Unix sockets, so that no other process connects to it by accident.
func startEtcd() (s server) {
	peers, socket := "unix://"+directory("peers.sock"), directory("etcd.sock")
	cmd := exec.Command(cluster.programs.etcd, "--data-dir="+directory("etcd"), "--log-level=warn",
		"--unsafe-no-fsync", // the data need not survive a crash of the machine
		"--listen-client-urls=unix://"+socket, "--advertise-client-urls=unix://"+socket,
		"--listen-peer-urls="+peers, "--initial-advertise-peer-urls="+peers, "--initial-cluster=default="+peers)
	check(s.run(cmd, "etcd.log", func(context.Context) error {
		_, err := os.Stat(socket)
		return err
	}))
	return s
}

// An apiServer is a Kubernetes API server. It is the OIDC issuer of the service account tokens.
type apiServer struct {
	server
	client kubernetes.Interface
}

// policy lets unauthenticated users read the discovery document and the keys, because the API server
// itself is the public issuer. The administrator needs no policy.
const policy = `{"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", ` +
	`"spec": {"group": "system:unauthenticated", "nonResourcePath": "*", "readonly": true}}`

// startAPIServer starts an API server that signs tokens with the signing key of the cluster.
func startAPIServer() apiServer {
	a := apiServer{server: newServer()}
	check(os.WriteFile(directory("pki/tokens.csv"), []byte(adminToken+",admin,admin,system:masters\n"), 0o600))
	check(os.WriteFile(directory("pki/policy.jsonl"), []byte(policy), 0o600))
	a.client = must(kubernetes.NewForConfig(&rest.Config{
		Host: a.url(), BearerToken: adminToken, TLSClientConfig: rest.TLSClientConfig{CAFile: cluster.authority.certificates()},
		QPS: -1, // no client-side rate limit
	}))
	check(a.restart(cluster.signingKey))
	return a
}

// discovery returns a client that finds the issuer at the API server.
func (a *apiServer) discovery() *http.Client {
	transport := cluster.authority.client.Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.ServerName = "127.0.0.1"
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, a.address())
	}
	return &http.Client{Transport: transport}
}

// restart stops the API server if it runs, starts it and waits until it is ready. The server publishes
// the signing key and the older keys.
func (a *apiServer) restart(signingKey string, older ...string) error {
	a.stop()
	flags := []string{
		"--etcd-servers=unix://" + directory("etcd.sock"),
		"--bind-address=127.0.0.1", "--secure-port=" + a.port,
		"--tls-cert-file=" + cluster.authority.certificates(), "--tls-private-key-file=" + cluster.authority.key(),
		"--token-auth-file=" + directory("pki/tokens.csv"),
		"--authorization-mode=ABAC", "--authorization-policy-file=" + directory("pki/policy.jsonl"),
		"--service-account-issuer=" + issuer, "--service-account-jwks-uri=" + a.url() + "/openid/v1/jwks",
		"--service-account-extend-token-expiration=false",
		"--service-account-max-token-expiration=24h", // as in EKS
		"--service-account-signing-key-file=" + signingKey,
		"--service-cluster-ip-range=10.0.0.0/24",
		"--endpoint-reconciler-type=none", // there is only a loopback address, which cannot be an endpoint
	}
	for _, key := range append(older, signingKey) {
		flags = append(flags, "--service-account-key-file="+key)
	}
	return a.run(exec.Command(cluster.programs.apiServer, flags...), "apiserver.log", func(ctx context.Context) error {
		return a.client.CoreV1().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// minioRole returns the ARN of the role that MinIO creates for the OpenID client.
func minioRole() string {
	sum := sha1.Sum([]byte(audience))
	return "arn:minio:iam:" + region + "::role/" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// A minioServer is a MinIO server, with STS and S3, that trusts the tokens of the API server.
type minioServer struct{ server }

// restart stops the server if it runs, starts it, and waits until it has the bucket and the role.
func (m *minioServer) restart() error {
	m.stop()
	cmd := exec.Command(cluster.programs.minio, "server", "--quiet", "--certs-dir", cluster.authority.dir, "--address", m.address(), directory("minio"))
	cmd.Env = []string{
		"HOME=/nowhere", "MINIO_SITE_REGION=" + region,
		"MINIO_ROOT_USER=root", "MINIO_ROOT_PASSWORD=" + adminToken,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off",
		"MINIO_IDENTITY_OPENID_CONFIG_URL=" + cluster.api.url() + "/.well-known/openid-configuration",
		"MINIO_IDENTITY_OPENID_CLIENT_ID=" + audience,
		"MINIO_IDENTITY_OPENID_ROLE_POLICY=readwrite",
	}
	root := s3.New(s3.Options{
		Region: region, BaseEndpoint: aws.String(m.url()), UsePathStyle: true,
		HTTPClient: cluster.authority.client, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("root", adminToken, ""),
	})
	return m.run(cmd, "minio.log", func(ctx context.Context) error {
		// MinIO serves S3 before it has read the issuer's discovery document. Then it also knows the role.
		if _, err := assume(ctx, m.url(), minioRole(), "invalid"); !strings.Contains(fmt.Sprint(err), "invalid number of segments") {
			return fmt.Errorf("no role: %w", err)
		}
		_, err := root.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String(bucket)})
		if err != nil {
			_, err = root.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)})
		}
		return err
	})
}
