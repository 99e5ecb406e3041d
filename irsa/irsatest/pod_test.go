package irsatest_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func header(t *testing.T, token string) map[string]any { t.Helper(); return part(t, token, 0) }

func part(t *testing.T, token string, n int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	raw, err := base64.RawURLEncoding.DecodeString(parts[n])
	require.NoError(t, err)
	var out map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&out))
	return out
}

// object returns the JSON object at the given path in v.
func object(t *testing.T, v any, keys ...string) map[string]any {
	t.Helper()
	for _, key := range keys {
		v = v.(map[string]any)[key]
	}
	out, ok := v.(map[string]any)
	require.True(t, ok)
	return out
}

func TestPodTokenHasKubernetesClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := populate(irsatest.New(t))
		now := time.Now().Unix()
		got := part(t, w.pod.Token(), 1)
		again := w.Pod(w.sa, w.role)
		other := part(t, again.Token(), 1)

		const uid = `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`
		jti, node := got["jti"], object(t, got, "kubernetes.io", "node")
		pod, sa := object(t, got, "kubernetes.io", "pod"), object(t, got, "kubernetes.io", "serviceaccount")
		for _, random := range []any{jti, node["uid"], pod["uid"], sa["uid"]} {
			assert.Regexp(t, uid, random)
		}
		assert.Equal(t, sa["uid"], object(t, other, "kubernetes.io", "serviceaccount")["uid"])
		assert.NotEqual(t, pod["uid"], object(t, other, "kubernetes.io", "pod")["uid"])
		assert.NotEqual(t, jti, other["jti"])

		assert.Regexp(t, `^cart-[a-z2-7]{10}-[a-z2-7]{5}$`, w.pod.Name())
		assert.Equal(t, map[string]any{
			"aud": []any{"sts.amazonaws.com"},
			"exp": number(now + 86400),
			"iat": number(now),
			"iss": w.Issuer.URL(),
			"jti": jti,
			"kubernetes.io": map[string]any{
				"namespace":      "shop",
				"node":           map[string]any{"name": "ip-192-168-0-1.us-west-2.compute.internal", "uid": node["uid"]},
				"pod":            map[string]any{"name": w.pod.Name(), "uid": pod["uid"]},
				"serviceaccount": map[string]any{"name": "cart", "uid": sa["uid"]},
			},
			"nbf": number(now),
			"sub": "system:serviceaccount:shop:cart",
		}, got)

		assert.Equal(t, map[string]any{"alg": "RS256", "kid": header(t, w.pod.Token())["kid"]}, header(t, w.pod.Token()))
		assert.Regexp(t, `^[\w-]{43}$`, header(t, w.pod.Token())["kid"])
		assert.Regexp(t, `^https://oidc\.eks\.us-west-2\.amazonaws\.com/id/[0-9A-F]{32}$`, w.Issuer.URL())
	})
}

func number(n int64) json.Number {
	b, _ := json.Marshal(n)
	return json.Number(b)
}

func TestPodOptionsSetLifetimeAndAudience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		now := time.Now().Unix()
		pod := w.Pod(w.sa, w.role, func(o *irsatest.PodOptions) {
			o.TokenLifetime, o.Audience, o.Region = 10*time.Minute, "vault", "eu-central-1"
		})
		got := part(t, pod.Token(), 1)
		assert.Equal(t, number(now+600), got["exp"])
		assert.Equal(t, []any{"vault"}, got["aud"])
		assert.Equal(t, "eu-central-1", pod.Region())

		pod.Rotate(func(o *irsatest.TokenOptions) { o.Lifetime = -time.Minute })
		got = part(t, pod.Token(), 1)
		assert.Equal(t, number(now-60), got["exp"])
		assert.Equal(t, number(now-660), got["iat"])

		time.Sleep(time.Hour)
		pod.Rotate()
		assert.Equal(t, number(now+3600+600), part(t, pod.Token(), 1)["exp"], "the options apply to one token only")
	})
}

func TestPodEnvironMatchesWebhook(t *testing.T) {
	t.Setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true") // set by the developer
	w := inMemory(t, func(o *irsatest.Options) { o.Region, o.AccountID = "cn-north-1", "444455556666" })
	want := []string{
		"AWS_STS_REGIONAL_ENDPOINTS=regional",
		"AWS_DEFAULT_REGION=cn-north-1",
		"AWS_REGION=cn-north-1",
		"AWS_ROLE_ARN=arn:aws-cn:iam::444455556666:role/s3-writer",
		"AWS_WEB_IDENTITY_TOKEN_FILE=" + w.pod.TokenFile(),
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=false",
		"AWS_ENDPOINT_URL_STS=https://sts.irsatest.invalid",
	}
	assert.Equal(t, want, w.pod.Environ())
	assert.Regexp(t, `^https://oidc\.eks\.cn-north-1\.amazonaws\.com\.cn/id/`, w.Issuer.URL())
	assert.True(t, filepath.IsAbs(w.pod.TokenFile()))
	_, err := w.assume(t.Context())
	require.NoError(t, err)

	w.pod.Setenv()
	for _, variable := range want {
		key, value, _ := strings.Cut(variable, "=")
		assert.Equal(t, value, os.Getenv(key))
	}

	p, err := irsa.New(func(o *irsa.Options) { o.HTTPClient = w.HTTPClient() })
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, p.Refresh(t.Context()))
	lost, err := irsa.New()
	require.NoError(t, err)
	defer lost.Close()
	require.ErrorContains(t, lost.Refresh(t.Context()), "sts.irsatest.invalid", "only HTTPClient reaches the kit")
	assert.Equal(t, 2, w.STS.CallCount())

	loopback := onLoopback(t)
	environ := loopback.pod.Environ()
	assert.Equal(t, "AWS_ENDPOINT_URL_STS="+loopback.STS.Endpoint(), environ[len(environ)-1])
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+$`, loopback.STS.Endpoint())
}

func TestPodSetenvUnsetsOtherVariablesUntilEndOfTest(t *testing.T) {
	other := []string{"AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_USE_FIPS_ENDPOINT", "AWS_ENDPOINT_URL"}
	for _, name := range other {
		t.Setenv(name, "of the developer")
	}
	t.Run("test", func(t *testing.T) {
		w := inMemory(t)
		w.pod.Setenv()
		for _, name := range other {
			_, found := os.LookupEnv(name)
			assert.False(t, found, name)
		}
		assert.Equal(t, w.pod.RoleARN(), os.Getenv("AWS_ROLE_ARN"))
	})
	for _, name := range other {
		assert.Equal(t, "of the developer", os.Getenv(name), name)
	}
	assert.Empty(t, os.Getenv("AWS_ROLE_ARN"))
}

func TestPodSetenvOnLoopback(t *testing.T) {
	w := inMemory(t, func(o *irsatest.Options) { o.Loopback = true })
	w.pod.Setenv()
	p, err := irsa.New()
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, p.Refresh(t.Context()))
	assert.Equal(t, 1, w.STS.CallCount())

	require.NoError(t, w.Close())
	q, err := irsa.New()
	require.NoError(t, err)
	defer q.Close()
	requireRefused(t, q.Refresh(t.Context()))
}

func TestClusterPartitionFollowsRegion(t *testing.T) {
	for region, want := range map[string]string{
		"eu-west-1":     "arn:aws:iam::111122223333:role/team/reader",
		"us-gov-west-1": "arn:aws-us-gov:iam::111122223333:role/team/reader",
		"cn-north-1":    "arn:aws-cn:iam::111122223333:role/team/reader",
	} {
		k := irsatest.New(t, func(o *irsatest.Options) { o.Region = region })
		sa := k.ServiceAccount("shop", "cart")
		role := k.Role("team/reader", irsatest.Trust(sa))
		assert.Equal(t, want, role.ARN())
		out, err := (&world{k, sa, role, k.Pod(sa, role)}).assume(t.Context())
		require.NoError(t, err)
		assert.Contains(t, *out.AssumedRoleUser.Arn, ":assumed-role/reader/session", "without the path")
	}
}
