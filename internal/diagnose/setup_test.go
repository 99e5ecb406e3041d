package diagnose

import (
	"context"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	smithyendpoints "github.com/aws/smithy-go/endpoints"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/exchange"
	"github.com/irsakit/irsakit/tokenfile"
)

func TestCheckEndpointAdvisesOnIgnoredProxy(t *testing.T) {
	for variables, want := range map[string]string{
		"HTTPS_PROXY=http://u:p%ss@proxy:3128":                              "a % in its password must be written as %25",
		"AWS_ENDPOINT_URL=https://s3.example":                               "set AWS_ENDPOINT_URL_STS",
		"AWS_ENDPOINT_URL=https://s3.example\nHTTPS_PROXY=http://proxy:%zz": "set AWS_ENDPOINT_URL_STS",
	} {
		env := config.Environment{Getenv: func(name string) string {
			_, value, _ := strings.Cut("\n"+variables, "\n"+name+"=")
			value, _, _ = strings.Cut(value, "\n")
			return value
		}}
		uri := url.URL{Scheme: "https", Host: "sts.us-west-2.amazonaws.com"}
		d := diagnosis{result: &Result{}, env: env, config: &config.Config{Region: "us-west-2", Endpoint: &smithyendpoints.Endpoint{URI: uri}, Shared: &config.Shared{}}}
		d.checkEndpoint(t.Context())
		require.Len(t, d.result.Checks, 1)
		assert.Equal(t, Warned, d.result.Checks[0].Status)
		assert.Contains(t, d.result.Checks[0].Advice, want, variables)
	}
}

// The issuer shows whether the role or the region is wrong, but the role is checked before the token.
func TestCheckRoleFitsIssuer(t *testing.T) {
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE"}`))
	token, err := tokenfile.Parse("eyJhbGciOiJSUzI1NiJ9." + claims + ".c2ln")
	require.NoError(t, err)
	source := &config.TokenFunc{Name: "eks", Call: func(context.Context) (tokenfile.Token, error) { return token, nil }}
	for role, want := range map[string]string{
		"arn:aws:iam::111122223333:role/cart":      "Set AWS_REGION=us-west-2",
		"arn:aws-eusc:iam::111122223333:role/cart": "",
	} {
		d := diagnosis{result: &Result{}, config: &config.Config{RoleARN: role, Region: "eusc-de-east-1", Token: source, Shared: &config.Shared{}}}
		d.exchange = exchange.WebIdentity{State: &exchange.State{}, Config: d.config}
		d.checkRole(t.Context())
		d.checkToken(t.Context())
		require.Len(t, d.result.Checks, 2)
		assert.Contains(t, d.result.Checks[0].Advice, want)
		assert.NotContains(t, d.result.Checks[0].Advice, "annotation")
		assert.Equal(t, want != "", d.result.has(nameRole, Failed))
	}
}
