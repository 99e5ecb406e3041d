package e2e

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"os/exec"

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
type minioServer struct{ server }

func startMinIO() (*minioServer, error) {
	s, err := newServer()
	if err != nil {
		return nil, err
	}
	m := &minioServer{s}
	return m, m.restart()
}

// restart stops the server if it runs, starts it, and waits until it is ready and has the bucket.
func (m *minioServer) restart() error {
	m.stop()
	cmd := exec.Command(cluster.programs.minio, "server", "--quiet", "--certs-dir", cluster.authority.dir, "--address", m.address(), directory("minio"))
	cmd.Env = []string{
		"HOME=/nowhere",
		"MINIO_ROOT_USER=root", "MINIO_ROOT_PASSWORD=" + adminToken,
		"MINIO_SITE_REGION=" + region,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off",
		"MINIO_IDENTITY_OPENID_CONFIG_URL=" + cluster.api.url() + "/.well-known/openid-configuration",
		"MINIO_IDENTITY_OPENID_CLIENT_ID=" + audience,
		"MINIO_IDENTITY_OPENID_ROLE_POLICY=readwrite",
	}
	return m.run(cmd, directory("minio.log"), m.ready)
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
		Region: region, BaseEndpoint: aws.String(m.url()), UsePathStyle: true,
		HTTPClient: cluster.authority.client, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "root", SecretAccessKey: adminToken}, nil
		}),
	})
}
