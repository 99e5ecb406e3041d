package exchange

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/internal/config"
)

// The SDK's endpoint rules are evaluated once per role, not once per request.
func TestClientUsesResolvedEndpoint(t *testing.T) {
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

func TestNewClientCopiesAuthorities(t *testing.T) {
	pool := x509.NewCertPool()
	client := awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) { tr.TLSClientConfig.RootCAs = pool })
	c := NewClient(&config.Config{Region: "us-west-2", Shared: &config.Shared{HTTPClient: client}}, 1)
	used := c.http.(*http.Client).Transport.(*transport).forHost("").TLSClientConfig.RootCAs
	assert.NotSame(t, pool, used)
	assert.True(t, pool.Equal(used))
}
