package e2e

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"

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
	fields := strings.Split(token, ".")
	require.Len(t, fields, 3)
	text := decode(fields[0]) + "\n" + decode(fields[1])
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
	_, claims := parts(t, kit.Token())
	kitPod := claims["kubernetes.io"].(map[string]any)["pod"].(map[string]any)["name"].(string)
	for name, tokens := range map[string]struct {
		api, kit       string
		apiPod, kitPod []string
	}{
		"token of a pod":             {p.token(t), kit.Token(), []string{p.Name}, []string{kitPod}},
		"token of a service account": {api: createToken(t, p, authenticationv1.TokenRequestSpec{}), kit: sa.Token()},
	} {
		want := shape(t, tokens.api, append(tokens.apiPod, cluster.api.issuer())...)
		t.Log(want)
		assert.Equal(t, want, shape(t, tokens.kit, append(tokens.kitPod, k.Issuer.URL())...), name)
		for _, token := range []string{tokens.api, tokens.kit} {
			_, claims := parts(t, token)
			assert.InDelta(t, 86400, claims["exp"].(float64)-claims["iat"].(float64), 0)
			assert.InDelta(t, 0, claims["nbf"].(float64)-claims["iat"].(float64), 0)
			assert.True(t, strings.HasPrefix(claims["iss"].(string), "https://"))
		}
	}
}

// createToken requests a token of the pod's service account from the TokenRequest API. The token has
// the default audience and a lifetime of a day unless spec sets others.
func createToken(t *testing.T, p *pod, spec authenticationv1.TokenRequestSpec) string {
	t.Helper()
	lifetime := int64(86400)
	if spec.Audiences == nil {
		spec.Audiences = []string{audience}
	}
	spec.ExpirationSeconds = &lifetime
	token, err := p.request(t.Context(), spec)
	require.NoError(t, err)
	return token
}
