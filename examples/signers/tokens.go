package main

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-msk-iam-sasl-signer-go/signer"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/feature/rds/auth"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/irsakit/irsakit/irsa"
)

// tokenLifetime is how long services accept a token. It expires earlier if the credentials that
// signed it do.
const tokenLifetime = 15 * time.Minute

// tokens signs tokens for services that accept them instead of a password.
type tokens struct {
	credentials aws.CredentialsProvider
	region      string
	sts         *sts.PresignClient
}

func newTokens(p *irsa.Provider) *tokens {
	cfg := p.AWSConfig()
	cfg.Credentials = p.MinTTL(tokenLifetime) // tokens never expire early
	return &tokens{cfg.Credentials, cfg.Region, sts.NewPresignClient(sts.NewFromConfig(cfg))}
}

// rds returns the password for a database user. endpoint is host:port.
func (t *tokens) rds(ctx context.Context, endpoint, user string) (string, error) {
	return auth.BuildAuthToken(ctx, endpoint, t.region, user, t.credentials)
}

// kafka returns a token for SASL/OAUTHBEARER on MSK and its expiry.
func (t *tokens) kafka(ctx context.Context) (string, time.Time, error) {
	token, milliseconds, err := signer.GenerateAuthTokenFromCredentialsProvider(ctx, t.region, t.credentials)
	return token, time.UnixMilli(milliseconds), err
}

// emptyHash is the SHA-256 of an empty body.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// elastiCache returns the password for a user of a replication group.
// https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html
func (t *tokens) elastiCache(ctx context.Context, group, user string) (string, error) {
	query := url.Values{"Action": {"connect"}, "User": {user}, "X-Amz-Expires": {"900"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+group+"/?"+query.Encode(), nil)
	if err != nil {
		return "", err
	}
	creds, err := t.credentials.Retrieve(ctx)
	if err != nil {
		return "", err
	}
	signed, _, err := v4.NewSigner().PresignHTTP(ctx, creds, request, emptyHash, "elasticache", t.region, time.Now())
	return strings.TrimPrefix(signed, "http://"), err
}

// eks returns a bearer token for the API server of an EKS cluster.
// https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster
func (t *tokens) eks(ctx context.Context, cluster string) (string, error) {
	signed, err := t.sts.PresignGetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, func(o *sts.PresignOptions) {
		o.ClientOptions = append(o.ClientOptions, sts.WithAPIOptions(
			smithyhttp.AddHeaderValue("X-K8s-Aws-Id", cluster), smithyhttp.AddHeaderValue("X-Amz-Expires", "60")))
	})
	if err != nil {
		return "", err
	}
	return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(signed.URL)), nil
}
