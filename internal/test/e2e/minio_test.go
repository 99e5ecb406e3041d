package e2e

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	region   = "us-west-2"
	audience = "sts.amazonaws.com"
	bucket   = "shop-receipts"
)

// minioRole returns the ARN of the role that MinIO creates for the OpenID client.
func minioRole() string {
	sum := sha1.Sum([]byte(audience))
	return "arn:minio:iam:" + region + "::role/" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// A minioServer is a MinIO server, with STS and S3, that trusts the tokens of one issuer.
type minioServer struct {
	program, dir, discovery string
	authority               *authority
	port                    int
	process                 *process
}

func startMinIO(program, dir string, ca *authority, discovery string) (*minioServer, error) {
	m := &minioServer{program: program, dir: dir, discovery: discovery, authority: ca}
	if err := m.writeCertificates(); err != nil {
		return nil, err
	}
	err := onFreePort(func(port int) error {
		m.port = port
		return m.start()
	})
	return m, err
}

func (m *minioServer) endpoint() string { return "https://127.0.0.1:" + strconv.Itoa(m.port) }
func (m *minioServer) log() string      { return filepath.Join(m.dir, "minio.log") }

// writeCertificates writes the server's certificate and the authority to the folders in which
// MinIO expects them.
func (m *minioServer) writeCertificates() error {
	if err := os.MkdirAll(filepath.Join(m.dir, "certs", "CAs"), 0o700); err != nil {
		return err
	}
	for from, to := range map[string]string{"server.crt": "public.crt", "server.key": "private.key", "ca.crt": "CAs/ca.crt"} {
		data, err := os.ReadFile(m.authority.file(from))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(m.dir, "certs", to), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// start starts the server and waits until it is ready and has the bucket.
func (m *minioServer) start() error {
	cmd := exec.Command(m.program, "server", "--quiet", "--certs-dir", filepath.Join(m.dir, "certs"),
		"--address", "127.0.0.1:"+strconv.Itoa(m.port), filepath.Join(m.dir, "data"))
	cmd.Env = []string{
		"HOME=" + m.dir,
		"MINIO_ROOT_USER=root", "MINIO_ROOT_PASSWORD=" + rootPassword,
		"MINIO_SITE_REGION=" + region,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off",
		"MINIO_IDENTITY_OPENID_CONFIG_URL=" + m.discovery + "/.well-known/openid-configuration",
		"MINIO_IDENTITY_OPENID_CLIENT_ID=" + audience,
		"MINIO_IDENTITY_OPENID_ROLE_POLICY=readwrite",
	}
	var err error
	if m.process, err = startProcess(cmd, m.log()); err != nil {
		return err
	}
	if err := m.process.waitUntil(m.ready); err != nil {
		m.process.stop()
		return err
	}
	return nil
}

// ready returns the reason why the server is not ready yet.
func (m *minioServer) ready(ctx context.Context) error {
	if _, err := m.asRoot().ListBuckets(ctx, nil); err != nil {
		return err
	}
	_, err := m.asRoot().HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String(bucket)})
	if err != nil {
		_, err = m.asRoot().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)})
	}
	if err != nil {
		return fmt.Errorf("the bucket: %w", err)
	}
	return nil
}

const rootPassword = "only-for-this-test" // the server runs only during the tests

// asRoot returns a client with MinIO's root credentials, for operations that pods do not
// perform.
func (m *minioServer) asRoot() *s3.Client {
	return s3.New(s3.Options{
		Region: region, BaseEndpoint: aws.String(m.endpoint()), UsePathStyle: true,
		HTTPClient: m.authority.client, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "root", SecretAccessKey: rootPassword}, nil
		}),
	})
}
