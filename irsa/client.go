package irsa

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/irsakit/irsakit/internal/regularfile"
)

// connect creates the STS client and its HTTP client, unless Options contain them. conns is the
// maximum number of connections of a client that it creates, or 0 for the SDK's default.
func (c *config) connect(conns int) {
	client := c.HTTPClient
	if c.client = c.STS; c.client != nil {
		own, ok := c.client.(*sts.Client)
		if !ok {
			return
		}
		c.client, client = withoutSigningLog(own), own.Options().HTTPClient
	}
	switch httpClient := client.(type) {
	case nil:
		c.http = newHTTPClient(c.services, conns)
	case *awshttp.BuildableClient:
		c.http = newHTTPClient(httpClient, conns)
	default:
		c.http = withoutRedirects(httpClient)
	}
	if c.client == nil {
		c.client = newClient(c, c.http)
	}
}

// withoutSigningLog returns client, or a copy with signing logs turned off. These logs contain the
// session token of the credentials. An option of a call cannot turn them off, because a client sets
// up its signer only once.
func withoutSigningLog(client *sts.Client) *sts.Client {
	o := client.Options()
	if !o.ClientLogMode.IsSigning() {
		return client
	}
	o.ClientLogMode &^= aws.LogSigning
	if _, ok := o.HTTPSignerV4.(*v4.Signer); ok {
		o.HTTPSignerV4, o.AuthSchemes = nil, nil
	}
	return sts.New(o)
}

// disconnect closes the idle connections of a client that connect created.
func (c *config) disconnect() {
	if client, ok := c.http.(*http.Client); ok {
		if t, ok := client.Transport.(*transport); ok {
			t.CloseIdleConnections()
		}
	}
}

// singleRequest returns an option for one call. It makes the call a single request without
// redirects and records the response in recorded. It also turns off the client's request and
// response logs. Bodies contain the token and keys, the headers of signed requests contain the
// session token, and a response can repeat any of them.
func (c *config) singleRequest(recorded *response) func(*sts.Options) {
	return func(o *sts.Options) {
		client := c.http
		if client == nil { // Options.STS is the application's wrapper of an SDK client
			client = withoutRedirects(o.HTTPClient)
		}
		o.HTTPClient = recorder{client, c, recorded}
		o.Retryer = aws.NopRetryer{}
		o.ClientLogMode &= aws.LogRetries | aws.LogDeprecatedUsage
		if c.Region != "" && c.STS == nil {
			o.Region = c.Region // the role's, because the roles of a Pool share the client
		}
	}
}

// newClient returns the library's own STS client. It signs no requests by default and
// inherits nothing from the application's service clients.
func newClient(c *config, httpClient aws.HTTPClient) *sts.Client {
	opts := sts.Options{
		Region:         c.Region,
		Credentials:    aws.AnonymousCredentials{},
		HTTPClient:     httpClient,
		Retryer:        aws.NopRetryer{},
		TracerProvider: c.TracerProvider,
		MeterProvider:  c.MeterProvider,
	}
	if c.Endpoint != "" {
		opts.BaseEndpoint = aws.String(c.Endpoint)
	}
	if c.environment.fips {
		opts.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
	}
	if c.environment.dualStack {
		opts.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
	}
	return sts.New(opts)
}

// maxBundle is the maximum size of a CA bundle. A bundle of all public authorities has about
// 200 KiB.
const maxBundle = 4 << 20

// readAuthorities sets the HTTP client of service clients to one that trusts only the
// authorities in AWS_CA_BUNDLE. The bundle must be a regular file.
func (c *config) readAuthorities() error {
	path := c.environment.caBundle
	if path == "" {
		return nil
	}
	file, _, err := regularfile.Open(path)
	if err != nil {
		return fmt.Errorf("%s: %w: correct it, or unset it", envCABundle, err)
	}
	defer file.Close()
	pem, err := io.ReadAll(io.LimitReader(file, maxBundle+1))
	if err != nil {
		return fmt.Errorf("%s: %w", envCABundle, err)
	}
	if len(pem) > maxBundle {
		return fmt.Errorf("%s: %s is larger than %d MiB: let it name a file with the certificates of the authorities only", envCABundle, path, maxBundle>>20)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s: %s holds no certificate in PEM: let it name a file with those of the authorities", envCABundle, path)
	}
	c.services = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.TLSClientConfig.RootCAs = pool
	})
	return nil
}
