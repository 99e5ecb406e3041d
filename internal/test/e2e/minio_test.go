package e2e

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"os"
	"os/exec"
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

// A minioServer is a MinIO server, with STS and S3, that trusts the tokens of the API server.
type minioServer struct {
	port    int
	process *process
}

func startMinIO() (*minioServer, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := writeMinIOCertificates(); err != nil {
		return nil, err
	}
	m := &minioServer{port: port}
	return m, m.start()
}

func (m *minioServer) endpoint() string { return "https://127.0.0.1:" + strconv.Itoa(m.port) }

// writeMinIOCertificates writes the server's certificate and the authority to the folders in which
// MinIO expects them.
func writeMinIOCertificates() error {
	if err := os.MkdirAll(folder("minio/certs/CAs"), 0o700); err != nil {
		return err
	}
	for to, from := range map[string]string{"public.crt": "server.crt", "private.key": "server.key", "CAs/ca.crt": "server.crt"} {
		data, err := os.ReadFile(cluster.authority.file(from))
		if err != nil {
			return err
		}
		if err := os.WriteFile(folder("minio/certs/"+to), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// start starts the server and waits until it is ready and has the bucket.
func (m *minioServer) start() error {
	cmd := exec.Command(cluster.programs.minio, "server", "--quiet", "--certs-dir", folder("minio/certs"),
		"--address", "127.0.0.1:"+strconv.Itoa(m.port), folder("minio/data"))
	cmd.Env = []string{
		"HOME=" + folder("minio"),
		"MINIO_ROOT_USER=root", "MINIO_ROOT_PASSWORD=" + adminToken,
		"MINIO_SITE_REGION=" + region,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off",
		"MINIO_IDENTITY_OPENID_CONFIG_URL=" + cluster.api.url() + "/.well-known/openid-configuration",
		"MINIO_IDENTITY_OPENID_CLIENT_ID=" + audience,
		"MINIO_IDENTITY_OPENID_ROLE_POLICY=readwrite",
	}
	var err error
	m.process, err = startServer(cmd, folder("minio/minio.log"), m.ready)
	return err
}

// ready returns the reason why the server is not ready yet.
func (m *minioServer) ready(ctx context.Context) error {
	_, err := m.asRoot().HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String(bucket)})
	if err != nil {
		_, err = m.asRoot().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)})
	}
	return err
}

// asRoot returns a client with MinIO's root credentials, for operations that pods do not
// perform.
func (m *minioServer) asRoot() *s3.Client {
	return s3.New(s3.Options{
		Region: region, BaseEndpoint: aws.String(m.endpoint()), UsePathStyle: true,
		HTTPClient: cluster.authority.client, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "root", SecretAccessKey: adminToken}, nil
		}),
	})
}
