// Package exchange exchanges tokens for credentials. Each exchange is a single STS request. Responses
// are limited in size, redacted and validated, and their expiry is converted to the local clock.
package exchange

import (
	"context"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/irsakit/irsakit/internal/config"
)

// Client makes requests to STS.
type Client struct {
	api  stscreds.AssumeRoleWithWebIdentityAPIClient
	http aws.HTTPClient // nil if api is a mock or the application's wrapper of an SDK client
}

// NewClient returns a client that uses the application's STS client or HTTP client, if cfg contains
// one. If it creates the HTTP client, it opens at most conns connections to each host and keeps them
// open. If conns is 0, each request uses its own connection.
func NewClient(cfg *config.Config, conns int) *Client {
	c, client := &Client{api: cfg.Shared.STS}, cfg.Shared.HTTPClient
	if cfg.Shared.STS != nil {
		own, ok := cfg.Shared.STS.(*sts.Client)
		if !ok {
			return c
		}
		client = own.Options().HTTPClient
	}
	switch httpClient := client.(type) {
	case nil:
		var base *awshttp.BuildableClient
		if cfg.Shared.Authorities != nil {
			base = config.Trusting(cfg.Shared.Authorities())
		}
		c.http = newHTTPClient(base, conns)
	case *awshttp.BuildableClient:
		c.http = newHTTPClient(httpClient.WithTransportOptions(copyAuthorities), conns)
	default:
		c.http = withoutRedirects(httpClient)
	}
	if c.api == nil {
		c.api = newSTSClient(cfg, c.http)
	}
	return c
}

// copyAuthorities copies the authorities of an application's HTTP client, because the application can
// modify them.
func copyAuthorities(t *http.Transport) {
	if c := t.TLSClientConfig; c != nil && c.RootCAs != nil {
		c.RootCAs = c.RootCAs.Clone()
	}
}

// quietSchemes returns the authentication schemes of a client with the given options, but without
// signing logs, which contain the session token. Clearing the log mode for a single call would have no
// effect, because a client sets up its signer only once.
func quietSchemes(o sts.Options) []smithyhttp.AuthScheme {
	o.ClientLogMode &^= aws.LogSigning
	o.AuthSchemes = nil
	return sts.New(o).Options().AuthSchemes
}

// CloseIdleConnections closes the idle connections of an HTTP client created by NewClient.
func (c *Client) CloseIdleConnections() {
	if client, ok := c.http.(*http.Client); ok {
		if t, ok := client.Transport.(*transport); ok {
			t.CloseIdleConnections()
		}
	}
}

// HTTP returns the HTTP client that sends the requests, or nil if it is unknown.
func (c *Client) HTTP() aws.HTTPClient { return c.http }

// CanAssumeRole reports whether the client supports role chains.
func (c *Client) CanAssumeRole() bool {
	_, ok := c.api.(stscreds.AssumeRoleAPIClient)
	return ok
}

// singleRequest returns an option for one call. It limits the call to a single request without
// redirects and records the response in recorded. It also turns off the client's request and response
// logs, because they would contain tokens and keys.
func (c *Client) singleRequest(recorded *recording) func(*sts.Options) {
	cfg := recorded.config
	return func(o *sts.Options) {
		client := c.http
		if client == nil { // an application's client that the library does not configure
			client = withoutRedirects(o.HTTPClient)
		}
		r := new(response)
		o.HTTPClient = recorder{client, r, recorded}
		o.Retryer = aws.NopRetryer{}
		o.APIOptions = append(slices.Clip(o.APIOptions), r.setResult)
		if o.ClientLogMode.IsSigning() {
			o.AuthSchemes = quietSchemes(*o)
		}
		o.ClientLogMode &= aws.LogRetries | aws.LogDeprecatedUsage
		if cfg.Region != "" && (cfg.Shared.STS == nil || cfg.OwnRegion) {
			o.Region = cfg.Region // the roles of a Pool share the client, but not the region
		}
		if cfg.Endpoint != nil {
			o.EndpointResolverV2 = resolved{cfg.Endpoint}
		}
	}
}

// newSTSClient returns the library's own STS client. It does not sign requests unless a call sets
// credentials, and inherits nothing from the application's service clients.
func newSTSClient(cfg *config.Config, httpClient aws.HTTPClient) *sts.Client {
	opts := sts.Options{
		Region:         cfg.Region,
		Credentials:    aws.AnonymousCredentials{},
		HTTPClient:     httpClient,
		Retryer:        aws.NopRetryer{},
		TracerProvider: cfg.Shared.TracerProvider,
		MeterProvider:  cfg.Shared.MeterProvider,
		AppID:          cfg.Shared.AppID,
	}
	return sts.New(opts)
}

// resolved is the resolved endpoint of a role, so that the SDK's endpoint rules are not evaluated for
// each request.
type resolved struct{ endpoint *smithyendpoints.Endpoint }

// ResolveEndpoint returns the endpoint.
func (r resolved) ResolveEndpoint(context.Context, sts.EndpointParameters) (smithyendpoints.Endpoint, error) {
	return *r.endpoint, nil
}
