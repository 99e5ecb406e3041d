package exchange

import (
	"net/http"
	"net/url"
	"testing"

	smithyendpoints "github.com/aws/smithy-go/endpoints"
	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/internal/config"
)

// The SDK's rules for endpoints are evaluated once for each role, and not for each request.
func TestClientSendsRequestsToTheResolvedEndpoint(t *testing.T) {
	var host string
	_, err := exchangeWith(t, config.Config{
		Region:   "us-west-2",
		Endpoint: &smithyendpoints.Endpoint{URI: url.URL{Scheme: "https", Host: "resolved.example"}},
		Shared: &config.Shared{HTTPClient: client(func(r *http.Request) (*http.Response, error) {
			host = r.URL.Host
			return nil, assert.AnError
		})},
	})
	assert.ErrorIs(t, err, assert.AnError)
	assert.Equal(t, "resolved.example", host)
}
