package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// A kitSTS is the STS of irsatest. It verifies the API server's tokens through the API
// server's discovery. Its role trusts one service account.
type kitSTS struct {
	*irsatest.Cluster
	role *irsatest.Role
}

func newKitSTS(t *testing.T, p *pod) kitSTS {
	t.Helper()
	k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = true })
	issuer := k.ExternalIssuer(cluster.api.issuer(), cluster.api.discovery())
	k.RegisterIssuer("111122223333", issuer)
	sa := issuer.ServiceAccount(p.Namespace, p.account.Name)
	return kitSTS{k, k.Role("s3-writer", irsatest.Trust(sa))}
}

// options makes a Provider use the kit.
func (k kitSTS) options(o *irsa.Options) {
	o.RoleARN, o.Endpoint = k.role.ARN(), k.STS.Endpoint()
}

// exchange sends a token to an STS. It returns the error code, or "" if the STS returned
// credentials.
func exchange(t *testing.T, endpoint, role, token string) string {
	t.Helper()
	client := sts.New(sts.Options{
		Region: region, BaseEndpoint: &endpoint, HTTPClient: cluster.authority.client, Retryer: aws.NopRetryer{},
		Credentials: aws.AnonymousCredentials{},
	})
	out, err := client.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &role, RoleSessionName: aws.String("e2e"), WebIdentityToken: &token,
	})
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	require.NoError(t, err)
	require.NotEmpty(t, *out.Credentials.SessionToken)
	_, claims := parts(t, token)
	assert.Equal(t, claims["sub"], *out.SubjectFromWebIdentityToken)
	return ""
}

func requireBoth(t *testing.T, kit kitSTS, p *pod, token string) {
	t.Helper()
	require.Empty(t, exchange(t, cluster.minio.endpoint(), minioRole(), token), "MinIO")
	require.Empty(t, exchange(t, kit.STS.Endpoint(), kit.role.ARN(), token), "the kit")
}

// MinIO has one error code for all tokens that it rejects, and trusts all service accounts
// of the cluster. The kit responds as AWS does.
func TestSTSVerifiesAPIServersTokens(t *testing.T) {
	p := newPod(t)
	kit := newKitSTS(t, p)
	good := p.token(t)
	unknown, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, claims := parts(t, good)
	stranger := newPod(t)
	for name, tt := range map[string]struct {
		token      string
		minio, kit string
	}{
		"token of a pod":                  {token: good},
		"token of a service account":      {token: createToken(t, p, authenticationv1.TokenRequestSpec{})},
		"another audience":                {createToken(t, p, authenticationv1.TokenRequestSpec{Audiences: []string{"vault"}}), "InvalidParameterValue", "InvalidIdentityToken"},
		"two audiences":                   {token: createToken(t, p, authenticationv1.TokenRequestSpec{Audiences: []string{"vault", audience}}), kit: "AccessDenied"},
		"expired token":                   {issuedAgo(t, good, 25*time.Hour), "InvalidParameterValue", "ExpiredTokenException"},
		"unknown key":                     {sign(t, unknown, "unknown", claims), "InvalidParameterValue", "InvalidIdentityToken"},
		"unknown key with a known key ID": {sign(t, unknown, keyID(t, good), claims), "InvalidParameterValue", "InvalidIdentityToken"},
		"claims of another token":         {tampered(t, good, stranger.token(t)), "InvalidParameterValue", "InvalidIdentityToken"},
		"another service account":         {token: stranger.token(t), kit: "AccessDenied"},
		"truncated token":                 {good[:len(good)/2], "InvalidParameterValue", "InvalidIdentityToken"},
	} {
		assert.Equal(t, tt.minio, exchange(t, cluster.minio.endpoint(), minioRole(), tt.token), "MinIO: %s", name)
		assert.Equal(t, tt.kit, exchange(t, kit.STS.Endpoint(), kit.role.ARN(), tt.token), "kit: %s", name)
	}
}

// tampered returns the token with the claims of another token.
func tampered(t *testing.T, token, claims string) string {
	t.Helper()
	fields, others := strings.Split(token, "."), strings.Split(claims, ".")
	require.Len(t, fields, 3)
	return fields[0] + "." + others[1] + "." + fields[2]
}

// The role of the pod is a role of the kit. The child process has the environment that the
// webhook injects.
func TestDoctorPassesRealPodWithKitsSTS(t *testing.T) {
	p := newPod(t, func(o *podOptions) {
		o.account.Annotations[roleAnnotation] = "arn:aws:iam::111122223333:role/s3-writer"
	})
	kit := newKitSTS(t, p)
	container := *p.Spec.Containers[0].DeepCopy()
	for i := range container.Env {
		if container.Env[i].Name == "AWS_ENDPOINT_URL_STS" {
			container.Env[i].Value = kit.STS.Endpoint()
		}
	}
	output := p.run(t, nil, container, cluster.programs.doctor)
	assert.Equal(t, 0, output.code)
	assert.Regexp(t, `(?m)^passed +caller-identity +arn:aws:sts::111122223333:assumed-role/s3-writer/`+p.Namespace+`\.cart\.`, output.out)
}

// The minimum lifetime is enforced in the validation of the TokenRequest API.
func TestAPIServerRejectsLifetimeBelow600Seconds(t *testing.T) {
	p := newPod(t)
	lifetime := int64(599)
	_, err := p.request(t.Context(), authenticationv1.TokenRequestSpec{ExpirationSeconds: &lifetime})
	require.ErrorContains(t, err, "10 minutes")
	p.ObjectMeta = metav1.ObjectMeta{Name: "short-lived", Namespace: p.Namespace}
	for _, v := range p.Spec.Volumes {
		if v.Name == tokenVolume {
			v.Projected.Sources[0].ServiceAccountToken.ExpirationSeconds = &lifetime
		}
	}
	_, err = cluster.api.client.CoreV1().Pods(p.Namespace).Create(t.Context(), &corev1.Pod{ObjectMeta: p.ObjectMeta, Spec: p.Spec}, metav1.CreateOptions{})
	require.ErrorContains(t, err, "10 minutes")
}

// The signing key of the API server is rotated as an administrator does it: the server first
// signs with the new key and publishes both keys, and later publishes only the new key.
func TestSigningKeyRotation(t *testing.T) {
	p := newPod(t)
	kit := newKitSTS(t, p)
	first := p.token(t)
	requireBoth(t, kit, p, first)

	older := cluster.signingKey
	newer, err := newSigningKey(folder("pki/" + rand.Text() + ".key")) // unique, for -count
	require.NoError(t, err)
	cluster.signingKey = newer
	require.NoError(t, cluster.api.restart(newer, older))
	second, err := p.another(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, keyID(t, first), keyID(t, second))
	requireBoth(t, kit, p, second)
	requireBoth(t, kit, p, first)

	require.NoError(t, cluster.api.restart(newer))
	requireBoth(t, kit, p, second)
	// MinIO caches the keys until it is restarted.
	cluster.minio.process.stop()
	require.NoError(t, cluster.minio.start())

	onMinIO, onKit := p.provider(t), p.provider(t, kit.options)
	err = onMinIO.Refresh(t.Context())
	require.ErrorIs(t, err, irsa.ErrTokenRejected)
	assert.ErrorContains(t, err, "InvalidParameterValue")
	assert.Contains(t, fmt.Sprintf("%+v", err), cluster.api.issuer())
	err = onKit.Refresh(t.Context())
	assert.Contains(t, fmt.Sprintf("%+v", err), "Couldn't retrieve verification key from your identity provider")
	for _, e := range []error{onMinIO.Refresh(t.Context()), err} {
		assert.NotContains(t, e.Error(), first)
		t.Log(e)
	}

	p.write(t, second)
	require.NoError(t, onMinIO.Refresh(t.Context()))
	require.NoError(t, onKit.Refresh(t.Context()))
}

func keyID(t *testing.T, token string) string {
	t.Helper()
	header, _ := parts(t, token)
	return header["kid"].(string)
}

// The program runs in a separate process, with the environment that the webhook has injected
// and the API server has stored.
func TestApplicationUsesS3WithRealToken(t *testing.T) {
	p := newPod(t, withLifetime("3600"))
	ended := p.run(t, nil, p.Spec.Containers[0], cluster.programs.application, p.Namespace)
	require.Equal(t, 0, ended.code)

	var output struct {
		Done        []string
		AccessKeyID string
		Expires     time.Time
		CanExpire   bool
	}
	require.NoError(t, json.Unmarshal([]byte(ended.out), &output))
	assert.ElementsMatch(t, []string{"AWSConfig", "LoadDefaultConfig", "WithCredentialsProvider"}, output.Done)
	assert.NotEqual(t, "root", output.AccessKeyID)
	assert.True(t, output.CanExpire)
	assert.WithinDuration(t, expiryOf(t, p.token(t)), output.Expires, time.Minute, "MinIO's credentials expire with the token")

	for _, name := range output.Done {
		for suffix, size := range map[string]int64{"": int64(len("thank you for " + p.Namespace + "/" + name)), ".parts": 6 << 20} {
			head, err := cluster.minio.asRoot().HeadObject(t.Context(), &s3.HeadObjectInput{
				Bucket: aws.String(bucket), Key: aws.String(p.Namespace + "/" + name + suffix),
			})
			require.NoError(t, err, name+suffix)
			assert.Equal(t, size, *head.ContentLength, name+suffix)
		}
	}
}
