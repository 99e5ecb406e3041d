package config

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/tokenfile"
)

// When the roles of a Pool read a new token concurrently, it must be in memory only once.
func TestFileSourceSharesToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	f := &fileSource{path: path}
	for _, text := range []string{"e30.e30.c2ln", "e30.eyJpc3MiOiJhIn0.c2ln"} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		var tokens [8]tokenfile.Token
		var calls sync.WaitGroup
		for i := range tokens {
			calls.Go(func() {
				var err error
				tokens[i], err = f.Token(t.Context())
				assert.NoError(t, err)
			})
		}
		calls.Wait()
		for _, token := range tokens {
			assert.Equal(t, text, token.Reveal())
			same := token == tokens[0]
			assert.True(t, same, "the same value")
		}
	}
}

// The variable names are easily confused, and a variable can contain the token instead of its path.
func TestResolveHidesTokenInSettings(t *testing.T) {
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	payload := encode(`{"iss":"https://oidc.example","sub":"system:serviceaccount:shop:cart"}`)
	token := encode(`{"alg":"RS256"}`) + "." + payload + "." + encode("a signature")
	for _, name := range []string{
		EnvRoleARN, EnvTokenFile, EnvSessionName, EnvRegion, EnvDefaultRegion, EnvEndpointSTS, EnvFIPS, EnvDualStack, EnvIgnoreEndpoint, EnvCABundle,
	} {
		for _, text := range []string{token, "Bearer " + token, `"` + token + `"`, "token=" + token, "https://" + token, token + "\n"} {
			variables := map[string]string{EnvRoleARN: roleARN, EnvTokenFile: "/token", EnvRegion: "us-west-2"}
			if name == EnvDefaultRegion {
				delete(variables, EnvRegion)
			}
			variables[name] = text
			c, errs := environmentOf(variables).Resolve(t.Context(), Config{Shared: &Shared{}})
			require.Error(t, errs.Join(), name)
			for _, shown := range []string{errs.Join().Error(), c.TokenFile, c.RoleARN, c.Region, c.URL()} {
				assert.NotContains(t, shown, payload[:12], name)
			}
		}
	}
	given := valid()
	given.TokenFile = token
	c, errs := environmentOf(nil).Resolve(t.Context(), given)
	require.ErrorContains(t, errs.Join(), "is not an absolute path")
	assert.NotContains(t, errs.Join().Error()+c.TokenFile, payload[:12])
}
