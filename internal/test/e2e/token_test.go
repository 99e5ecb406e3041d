package e2e

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/util/keyutil"
)

// parts returns the header and the claims of a token.
func parts(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	fields := strings.Split(token, ".")
	require.Len(t, fields, 3)
	for i, to := range []*map[string]any{&header, &claims} {
		require.NoError(t, json.Unmarshal([]byte(decode(fields[i])), to))
	}
	return header, claims
}

// decode decodes a part of a token. It returns "" if the part is invalid.
func decode(part string) string {
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return ""
	}
	return string(data)
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
	header, claims := parts(t, token)
	for _, name := range []string{"exp", "iat", "nbf"} {
		claims[name] = int64(claims[name].(float64) - ago.Seconds())
	}
	key, err := keyutil.PrivateKeyFromFile(cluster.signingKey)
	require.NoError(t, err)
	return sign(t, key, header["kid"].(string), claims)
}

func sign(t *testing.T, key any, keyID string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: keyID}}, nil)
	require.NoError(t, err)
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	require.NoError(t, err)
	return token
}
