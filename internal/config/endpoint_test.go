package config

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/explain"
)

func TestResolveHidesEndpointPassword(t *testing.T) {
	for _, endpoint := range []string{
		"https://user:hunter2@sts.corp.example", "http://user:hunter2@sts.corp.example", "user:hunter2@sts.corp.example",
		"https:user:hunter2@sts.corp.example", "https:/user:hunter2@sts.corp.example", "https://user:hunter/2%@sts.corp.example",
		"https:///user:hunter2@sts.corp.example",
	} {
		_, errs := environmentOf(map[string]string{EnvEndpointSTS: endpoint}).Resolve(t.Context(), valid())
		require.ErrorContains(t, errs.Join(), "contains a user name or a password", endpoint)
		assert.NotContains(t, errs.Join().Error(), "hunter", endpoint)
	}
	for _, endpoint := range []string{"http://user:hunter2@sts.corp.example", "http:user:hunter2@sts.corp.example"} {
		given := valid()
		given.Shared.STS = sts.New(sts.Options{BaseEndpoint: aws.String(endpoint)})
		_, errs := environmentOf(nil).Resolve(t.Context(), given)
		require.ErrorIs(t, errs.Join(), explain.ErrCleartext, endpoint)
		assert.NotContains(t, errs.Join().Error(), "hunter", endpoint)
	}
}

// net/http connects directly if a proxy variable cannot be parsed. Its value can end in a line break
// if it comes from a Secret, and a password can contain a percent sign.
func TestWarningsIncludeInvalidProxy(t *testing.T) {
	for proxy, valid := range map[string]bool{
		"":                           true,
		"http://proxy.example:3128":  true,
		"proxy.example:3128":         true,
		"user:pa%25ss@proxy.example": true,
		"socks5://10.0.0.1:1080":     true,
		"http://proxy.example\n":     false,
		"http://user:hunter2%x@p":    false,
	} {
		for _, name := range []string{EnvProxy, "https_proxy"} {
			env := environmentOf(map[string]string{name: proxy})
			warnings := env.Warnings(&Config{Shared: &Shared{}})
			assert.Equal(t, valid, len(warnings) == 0, "%q: %v", proxy, warnings)
			assert.NotContains(t, strings.Join(warnings, ""), "hunter2")
			assert.Empty(t, env.Warnings(&Config{Shared: &Shared{HTTPClient: http.DefaultClient}}), "the client may use another proxy")
		}
	}
}
