package irsa

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// connect makes the clients for STS that Options leave open.
func (s *settings) connect() {
	if s.client = s.STS; s.client != nil {
		return
	}
	client := s.HTTPClient
	if client == nil {
		s.http = newHTTPClient(s.services)
		client = s.http
	}
	s.client = newClient(s, client)
}

// disconnect ends the connections of connect's clients.
func (s *settings) disconnect() {
	if s.http != nil {
		s.http.CloseIdleConnections()
	}
}

// limitConnections lets the library's own client keep as many connections as there are
// calls under way, so that none is closed for want of room and made anew.
func (s *settings) limitConnections(calls int) {
	if s.http == nil {
		return
	}
	transport := s.http.Transport.(*http.Transport)
	transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = calls, calls
	transport.MaxIdleConns = max(transport.MaxIdleConns, calls)
}

// newClient returns the library's own STS client. It signs nothing and inherits
// nothing from the application's service clients.
func newClient(s *settings, httpClient aws.HTTPClient) *sts.Client {
	opts := sts.Options{
		Region:         s.Region,
		Credentials:    aws.AnonymousCredentials{},
		HTTPClient:     httpClient,
		Retryer:        aws.NopRetryer{},
		TracerProvider: s.TracerProvider,
		MeterProvider:  s.MeterProvider,
	}
	if s.Endpoint != "" {
		opts.BaseEndpoint = aws.String(s.Endpoint)
	}
	if s.environment.fips {
		opts.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
	}
	if s.environment.dualStack {
		opts.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
	}
	return sts.New(opts)
}

// inRegion lets a client that several roles share ask the role's own region.
func (s *settings) inRegion(o *sts.Options) {
	if s.Region != "" && s.STS == nil {
		o.Region = s.Region
	}
}

// newHTTPClient returns a client for STS with the transport of the SDK's, or of base
// if it is not nil: its limits, and the proxy of the environment. It follows no
// redirect, which STS does not answer with and which would carry the token along.
func newHTTPClient(base *awshttp.BuildableClient) *http.Client {
	if base == nil {
		base = awshttp.NewBuildableClient()
	}
	transport := base.GetTransport()
	transport.OnProxyConnectResponse = func(_ context.Context, proxy *url.URL, _ *http.Request, response *http.Response) error {
		if response.StatusCode != http.StatusOK {
			return &proxyError{proxy.Host, response.Status}
		}
		return nil
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// proxyError is the answer of a proxy that does not let a request through. net/http's own
// does not say that it is one.
type proxyError struct{ host, status string }

func (e *proxyError) Error() string { return fmt.Sprintf("the proxy %s answered %s", e.host, e.status) }

// A bundle of all public authorities has some 200 KiB.
const maxBundle = 4 << 20

// readAuthorities makes the client for services trust the authorities of AWS_CA_BUNDLE,
// and no others.
func (s *settings) readAuthorities() error {
	path := s.environment.caBundle
	if path == "" {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%s: %w: correct it, or unset it", envCABundle, err)
	}
	defer file.Close()
	pem, err := io.ReadAll(io.LimitReader(file, maxBundle))
	if err != nil {
		return fmt.Errorf("%s: %w", envCABundle, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s: %s holds no certificate in PEM: let it name a file with those of the authorities", envCABundle, path)
	}
	s.services = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.TLSClientConfig.RootCAs = pool
	})
	return nil
}
