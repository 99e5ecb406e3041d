package e2e

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/util/keyutil"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

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
