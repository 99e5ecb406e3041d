package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
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

func besideMinIO(t *testing.T, p *pod) kitSTS {
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
		RoleArn: &role, RoleSessionName: aws.String("beside"), WebIdentityToken: &token,
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
func TestTheKitsSTSVerifiesTheAPIServersTokensAsMinIODoes(t *testing.T) {
	p := newPod(t)
	kit := besideMinIO(t, p)
	good := p.token(t)
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, claims := parts(t, good)
	stranger := newPod(t)
	for name, token := range map[string]struct {
		token      string
		minio, kit string
	}{
		"of a pod":               {token: good},
		"of no pod":              {token: createToken(t, p, authenticationv1.TokenRequestSpec{})},
		"for somebody else":      {createToken(t, p, authenticationv1.TokenRequestSpec{Audiences: []string{"vault"}}), "InvalidParameterValue", "InvalidIdentityToken"},
		"for two":                {token: createToken(t, p, authenticationv1.TokenRequestSpec{Audiences: []string{"vault", audience}}), kit: "AccessDenied"},
		"expired":                {issuedAgo(t, good, 25*time.Hour), "InvalidParameterValue", "ExpiredTokenException"},
		"of a foreign key":       {sign(t, foreign, "foreign", claims), "InvalidParameterValue", "InvalidIdentityToken"},
		"of another's key id":    {sign(t, foreign, keyID(t, good), claims), "InvalidParameterValue", "InvalidIdentityToken"},
		"with another payload":   {tampered(t, good, stranger.token(t)), "InvalidParameterValue", "InvalidIdentityToken"},
		"of a stranger":          {token: stranger.token(t), kit: "AccessDenied"},
		"that is no whole token": {good[:len(good)/2], "InvalidParameterValue", "InvalidIdentityToken"},
	} {
		assert.Equal(t, token.minio, exchange(t, cluster.minio.endpoint(), minioRole(), token.token), "MinIO: a token %s", name)
		assert.Equal(t, token.kit, exchange(t, kit.STS.Endpoint(), kit.role.ARN(), token.token), "the kit: a token %s", name)
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
func TestARealPodGetsCredentialsOfTheKitsSTS(t *testing.T) {
	p := newPod(t, func(o *podOptions) {
		o.account.Annotations[roleAnnotation] = "arn:aws:iam::111122223333:role/s3-writer"
	})
	kit := besideMinIO(t, p)
	container := *p.Spec.Containers[0].DeepCopy()
	for i := range container.Env {
		if container.Env[i].Name == "AWS_ENDPOINT_URL_STS" {
			container.Env[i].Value = kit.STS.Endpoint()
		}
	}
	said := p.run(t, container, cluster.programs.doctor)
	assert.Equal(t, 0, said.code)
	assert.Regexp(t, `(?m)^passed +caller-identity +arn:aws:sts::111122223333:assumed-role/s3-writer/`+p.Namespace+`\.cart\.`, said.out)
}

// The minimum lifetime is enforced in the validation of the TokenRequest API.
func TestTheAPIServerRefusesTokensOfLessThan600Seconds(t *testing.T) {
	p := newPod(t)
	life := int64(599)
	_, err := p.request(t.Context(), authenticationv1.TokenRequestSpec{ExpirationSeconds: &life})
	require.ErrorContains(t, err, "10 minutes")
	p.ObjectMeta = metav1.ObjectMeta{Name: "short-lived", Namespace: p.Namespace}
	for _, v := range p.Spec.Volumes {
		if v.Name == tokenVolume {
			v.Projected.Sources[0].ServiceAccountToken.ExpirationSeconds = &life
		}
	}
	_, err = cluster.api.client.CoreV1().Pods(p.Namespace).Create(t.Context(), &corev1.Pod{ObjectMeta: p.ObjectMeta, Spec: p.Spec}, metav1.CreateOptions{})
	require.ErrorContains(t, err, "10 minutes")
}
