package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/client-go/util/keyutil"

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
	external := k.ExternalIssuer(issuer, cluster.api.discovery())
	k.RegisterIssuer("111122223333", external)
	sa := external.ServiceAccount(p.Namespace, p.account.Name)
	return kitSTS{k, k.Role("s3-writer", irsatest.Trust(sa))}
}

// assume sends a token to an STS.
func assume(ctx context.Context, endpoint, role, token string) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	client := sts.New(sts.Options{
		Region: region, BaseEndpoint: &endpoint, HTTPClient: cluster.authority.client, Retryer: aws.NopRetryer{},
		Credentials: aws.AnonymousCredentials{},
	})
	return client.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &role, RoleSessionName: aws.String("e2e"), WebIdentityToken: &token,
	})
}

// exchange returns the error code for a token, or "" if the STS returned credentials.
func exchange(t *testing.T, endpoint, role, token string) string {
	t.Helper()
	out, err := assume(t.Context(), endpoint, role, token)
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

func requireBoth(t *testing.T, kit kitSTS, token string) {
	t.Helper()
	require.Empty(t, exchange(t, cluster.minio.url(), minioRole(), token), "MinIO")
	require.Empty(t, exchange(t, kit.STS.Endpoint(), kit.role.ARN(), token), "the kit")
}

// MinIO has one error code for all tokens that it rejects, and trusts all service accounts
// of the cluster. The kit responds as AWS does.
func TestSTSVerifiesAPIServersTokens(t *testing.T) {
	p, stranger := newPod(t), newPod(t)
	kit := newKitSTS(t, p)
	good := p.token(t)
	unknown, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	keyID, claims := parts(t, good)
	fields, others := strings.Split(good, "."), strings.Split(stranger.token(t), ".")
	for name, tt := range map[string]struct {
		token      string
		minio, kit string
	}{
		"token of a pod":                  {token: good},
		"token of a service account":      {token: p.ofAccount(t, audience)},
		"another audience":                {p.ofAccount(t, "vault"), "InvalidParameterValue", "InvalidIdentityToken"},
		"two audiences":                   {token: p.ofAccount(t, "vault", audience), kit: "AccessDenied"},
		"expired token":                   {issuedAgo(t, good, 25*time.Hour), "InvalidParameterValue", "ExpiredTokenException"},
		"unknown key":                     {sign(t, unknown, "unknown", claims), "InvalidParameterValue", "InvalidIdentityToken"},
		"unknown key with a known key ID": {sign(t, unknown, keyID, claims), "InvalidParameterValue", "InvalidIdentityToken"},
		"claims of another token":         {fields[0] + "." + others[1] + "." + fields[2], "InvalidParameterValue", "InvalidIdentityToken"},
		"another service account":         {token: stranger.token(t), kit: "AccessDenied"},
		"truncated token":                 {good[:len(good)/2], "InvalidParameterValue", "InvalidIdentityToken"},
	} {
		assert.Equal(t, tt.minio, exchange(t, cluster.minio.url(), minioRole(), tt.token), "MinIO: %s", name)
		assert.Equal(t, tt.kit, exchange(t, kit.STS.Endpoint(), kit.role.ARN(), tt.token), "kit: %s", name)
	}
}

// The minimum lifetime is enforced in the validation of the TokenRequest API.
func TestAPIServerRejectsLifetimeBelow600Seconds(t *testing.T) {
	lifetime := int64(599)
	_, err := newPod(t).request(t.Context(), authenticationv1.TokenRequestSpec{ExpirationSeconds: &lifetime})
	require.ErrorContains(t, err, "10 minutes")
}

// The signing key of the API server is rotated as an administrator does it: the server first
// signs with the new key and publishes both keys, and later publishes only the new key.
func TestSigningKeyRotation(t *testing.T) {
	p := newPod(t)
	kit := newKitSTS(t, p)
	first := p.token(t)
	requireBoth(t, kit, first)

	older := cluster.signingKey
	newer := newSigningKey(directory("pki/" + rand.Text() + ".key")) // unique, for -count
	cluster.signingKey = newer
	require.NoError(t, cluster.api.restart(newer, older))
	second, err := p.request(t.Context(), tokenRequest(p.Pod).Spec)
	require.NoError(t, err)
	firstKey, _ := parts(t, first)
	secondKey, _ := parts(t, second)
	require.NotEqual(t, firstKey, secondKey)
	requireBoth(t, kit, second)
	requireBoth(t, kit, first)

	require.NoError(t, cluster.api.restart(newer))
	requireBoth(t, kit, second)
	require.NoError(t, cluster.minio.restart()) // MinIO caches the keys until it is restarted

	onMinIO, onKit := p.provider(t), p.provider(t, func(o *irsa.Options) { o.RoleARN, o.Endpoint = kit.role.ARN(), kit.STS.Endpoint() })
	err = onMinIO.Refresh(t.Context())
	require.ErrorIs(t, err, irsa.ErrTokenRejected)
	assert.ErrorContains(t, err, "InvalidParameterValue")
	assert.Contains(t, fmt.Sprintf("%+v", err), issuer)
	assert.NotContains(t, err.Error(), first)
	err = onKit.Refresh(t.Context())
	assert.Contains(t, fmt.Sprintf("%+v", err), "Couldn't retrieve verification key from your identity provider")
	assert.NotContains(t, err.Error(), first)

	p.write(t, second)
	require.NoError(t, onMinIO.Refresh(t.Context()))
	require.NoError(t, onKit.Refresh(t.Context()))
}

// Each command runs in a separate process, with the environment that the webhook has injected and the
// API server has stored.
func TestS3ExampleUsesRealToken(t *testing.T) {
	p := newPod(t, withLifetime("3600"))
	file, object := filepath.Join(t.TempDir(), "receipt"), "s3://"+bucket+"/"+p.Namespace
	run := func(args ...string) string {
		cmd := p.command(t.Context(), p.Spec.Containers[0], nil, "s3", append(args, "-path-style")...)
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		require.NoError(t, err, args)
		return strings.TrimSpace(string(out))
	}
	want := bytes.Repeat([]byte("thank you\n"), 6<<20/10)
	require.NoError(t, os.WriteFile(file, want, 0o600))
	run("put", file, object)
	run("get", object, file+".copy")
	got, err := os.ReadFile(file + ".copy")
	require.NoError(t, err)
	assert.True(t, bytes.Equal(want, got))

	response, err := cluster.authority.client.Get(run("presign", object)) // without credentials
	require.NoError(t, err)
	got, err = io.ReadAll(response.Body)
	require.NoError(t, errors.Join(err, response.Body.Close()))
	assert.True(t, bytes.Equal(want, got), response.Status)
}

// random matches the parts of tokens that are random or depend on the time, by their kind.
var random = map[string]*regexp.Regexp{
	`"UUID"`:   regexp.MustCompile(`"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"`),
	`"KEY ID"`: regexp.MustCompile(`"[\w-]{43}"`),
	`:TIME`:    regexp.MustCompile(`:\d{10}\b`),
}

// shape returns the header and the claims of a token in JSON, with the order of the token. Random
// parts and the texts in differing, which depend on the cluster, are replaced.
func shape(t *testing.T, token string, differing ...string) string {
	t.Helper()
	text := ""
	for _, part := range strings.Split(token, ".")[:2] {
		decoded, err := base64.RawURLEncoding.DecodeString(part)
		require.NoError(t, err)
		text += string(decoded) + "\n"
	}
	for _, d := range differing {
		require.Contains(t, text, `"`+d+`"`)
		text = strings.ReplaceAll(text, `"`+d+`"`, `"DIFFERING"`)
	}
	for kind, pattern := range random {
		text = pattern.ReplaceAllString(text, kind)
	}
	return text
}

// The kit's pod has the same namespace and service account as the API server's.
func TestTokensHaveSameClaims(t *testing.T) {
	p := newPod(t)
	k := irsatest.New(t)
	sa := k.ServiceAccount(p.Namespace, p.account.Name)
	kit := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	for name, tokens := range map[string]struct {
		api, kit       string
		apiPod, kitPod []string
	}{
		"token of a pod":             {p.token(t), kit.Token(), []string{p.Name}, []string{kit.Name()}},
		"token of a service account": {api: p.ofAccount(t, audience), kit: sa.Token()},
	} {
		want := shape(t, tokens.api, append(tokens.apiPod, issuer)...)
		t.Log(want)
		require.Equal(t, want, shape(t, tokens.kit, append(tokens.kitPod, k.Issuer.URL())...), name)
		for _, token := range []string{tokens.api, tokens.kit} {
			_, claims := parts(t, token)
			assert.InDelta(t, 86400, claims["exp"].(float64)-claims["iat"].(float64), 0)
			assert.InDelta(t, 0, claims["nbf"].(float64)-claims["iat"].(float64), 0)
			assert.True(t, strings.HasPrefix(claims["iss"].(string), "https://"))
		}
	}
}

// parts returns the key ID and the claims of a token.
func parts(t *testing.T, token string) (keyID string, claims map[string]any) {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	require.NoError(t, err)
	require.NoError(t, parsed.UnsafeClaimsWithoutVerification(&claims))
	return parsed.Headers[0].KeyID, claims
}

func expiryOf(t *testing.T, token string) time.Time {
	t.Helper()
	_, claims := parts(t, token)
	return time.Unix(int64(claims["exp"].(float64)), 0)
}

// issuedAgo returns the token as if the API server had issued it earlier: with the same claims
// except for the times, and signed with the API server's key.
func issuedAgo(t *testing.T, token string, ago time.Duration) string {
	t.Helper()
	keyID, claims := parts(t, token)
	for _, name := range []string{"exp", "iat", "nbf"} {
		claims[name] = int64(claims[name].(float64) - ago.Seconds())
	}
	key, err := keyutil.PrivateKeyFromFile(cluster.signingKey)
	require.NoError(t, err)
	return sign(t, key, keyID, claims)
}

func sign(t *testing.T, key any, keyID string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: keyID}}, nil)
	require.NoError(t, err)
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	require.NoError(t, err)
	return token
}
