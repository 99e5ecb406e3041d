package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// fields adds the fields of a JSON object to out, by path. Each field maps to the type of its
// value and, if the value must be the same in both tokens, to the value.
func fields(value any, path string, out map[string]string) {
	switch v := value.(type) {
	case map[string]any:
		for name, field := range v {
			fields(field, path+"/"+name, out)
		}
	case []any:
		for i, element := range v {
			fields(element, path+"/"+strconv.Itoa(i), out)
		}
	case string:
		out[path] = "text " + shapeOf(v)
	default:
		out[path] = fmt.Sprintf("%T", v)
	}
}

// shapeOf returns the form of a random identifier, and other text unchanged.
func shapeOf(text string) string {
	if len(text) == 36 && strings.Count(text, "-") == 4 {
		return "uuid"
	}
	if len(text) == 43 {
		return "base64url of 32 bytes"
	}
	return text
}

// compare checks that two parts of tokens have the same fields. The texts at the paths in
// differing depend on the cluster and may differ.
func compare(t *testing.T, what string, genuine, kit map[string]any, differing ...string) {
	t.Helper()
	want, got := map[string]string{}, map[string]string{}
	fields(genuine, "", want)
	fields(kit, "", got)
	for _, path := range differing {
		for _, m := range []map[string]string{want, got} {
			require.Contains(t, m, path, what)
			m[path] = "text of its own"
		}
	}
	for _, path := range slices.Sorted(maps.Keys(want)) {
		t.Logf("%s %-40s real: %-40s kit: %s", what, path, want[path], got[path])
	}
	require.Equal(t, want, got, what)
}

// The kit's pod has the same namespace and service account as the real one.
func TestTheKitsTokensOfPodsHaveTheRealClaims(t *testing.T) {
	p := newPod(t)
	k := irsatest.New(t)
	sa := k.ServiceAccount(p.Namespace, p.account.Name)
	kit := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa))).Token()
	compareTokens(t, p.token(t), kit, "/kubernetes.io/pod/name")
}

func TestTheKitsTokensOfServiceAccountsHaveTheRealClaims(t *testing.T) {
	p := newPod(t)
	k := irsatest.New(t)
	kit := k.ServiceAccount(p.Namespace, p.account.Name).Token()
	compareTokens(t, createToken(t, p, authenticationv1.TokenRequestSpec{}), kit)
}

func compareTokens(t *testing.T, genuine, kit string, differing ...string) {
	t.Helper()
	realHeader, realClaims := parts(t, genuine)
	kitHeader, kitClaims := parts(t, kit)
	compare(t, "header", realHeader, kitHeader)
	compare(t, "claims", realClaims, kitClaims, append(differing, "/iss")...)
	for _, claims := range []map[string]any{realClaims, kitClaims} {
		assert.InDelta(t, 86400, claims["exp"].(float64)-claims["iat"].(float64), 0)
		assert.InDelta(t, 0, claims["nbf"].(float64)-claims["iat"].(float64), 0)
		assert.True(t, strings.HasPrefix(claims["iss"].(string), "https://"))
	}
	assert.Equal(t, names(genuine), names(kit), "the order of the claims")
}

// createToken requests a token of the pod's service account from the TokenRequest API through
// client-go. The token has the default audience and lifetime unless spec sets others.
func createToken(t *testing.T, p *pod, spec authenticationv1.TokenRequestSpec) string {
	t.Helper()
	life := int64(86400)
	if spec.Audiences == nil {
		spec.Audiences = []string{audience}
	}
	if spec.ExpirationSeconds == nil {
		spec.ExpirationSeconds = &life
	}
	token, err := p.request(t.Context(), spec)
	require.NoError(t, err)
	return token
}

// names returns the names of the claims in the order of the token.
func names(token string) []string {
	payload := decode(strings.Split(token, ".")[1])
	out := []string{"aud", "exp", "iat", "iss", "jti", "kubernetes.io", "nbf", "sub"}
	slices.SortFunc(out, func(a, b string) int {
		return strings.Index(payload, `"`+a+`":`) - strings.Index(payload, `"`+b+`":`)
	})
	return out
}
