package config

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
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
}

// A program can confuse its own variables as well.
func TestResolveHidesTokenInOptions(t *testing.T) {
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	payload := encode(`{"iss":"https://oidc.example","sub":"system:serviceaccount:shop:cart"}`)
	token := encode(`{"alg":"RS256"}`) + "." + payload + "." + encode("a signature")
	for name, set := range map[string]func(*Config){
		"TokenFile":   func(c *Config) { c.TokenFile = token },
		"RoleARN":     func(c *Config) { c.RoleARN = token },
		"SessionName": func(c *Config) { c.SessionName = token },
		"Region":      func(c *Config) { c.Region = token },
		"Endpoint":    func(c *Config) { c.Shared.Endpoint = token },
		"host":        func(c *Config) { c.Shared.Endpoint = "https://" + token },
		"PolicyARNs":  func(c *Config) { c.PolicyARNs = []string{token} },
	} {
		given := valid()
		set(&given)
		c, errs := environmentOf(nil).Resolve(t.Context(), given)
		require.Error(t, errs.Join(), name)
		assert.NotContains(t, fmt.Sprint(errs.Join(), c.TokenFile, c.RoleARN, c.Region, c.SessionName, c.URL()), payload[:12], name)
	}

	pool := valid()
	for name, set := range map[string]func(*Config){
		"RoleARN":     func(c *Config) { c.RoleARN = token },
		"SessionName": func(c *Config) { c.SessionName = token },
		"Region":      func(c *Config) { c.Region = token },
		"PolicyARNs":  func(c *Config) { c.PolicyARNs = []string{token} },
	} {
		role := pool
		set(&role)
		errs := role.ResolveRole(&pool)
		require.Error(t, errs.Join(), name)
		assert.NotContains(t, fmt.Sprint(errs.Join(), role.RoleARN), payload[:12], name)
	}

	derived := pool.Derive(token)
	errs := derived.SetChainOptions(&stscreds.AssumeRoleOptions{RoleARN: token, RoleSessionName: token})
	assert.NotContains(t, fmt.Sprint(errs.Join(), derived.RoleARN), payload[:12])

	named := "arn:aws:iam::111122223333:role/" + token
	derived = pool.Derive(named)
	require.Error(t, derived.SetChainOptions(&stscreds.AssumeRoleOptions{RoleARN: named}).Join())
}
