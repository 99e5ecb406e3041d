package irsa

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// A reply of STS has some 2 KiB, most of it the session token, of whose size AWS
// wants nothing to be assumed.
const maxReply = 256 << 10

// newClient returns the library's own STS client. It signs nothing and inherits
// nothing from the application's service clients.
func newClient(s *settings, httpClient aws.HTTPClient) *sts.Client {
	opts := sts.Options{
		Region:      s.Region,
		Credentials: aws.AnonymousCredentials{},
		HTTPClient:  httpClient,
		Retryer:     aws.NopRetryer{},
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

// once makes a call of any STS client one request with a bounded reply, and keeps
// the token and the keys out of its log.
func once(o *sts.Options) {
	o.Retryer = aws.NopRetryer{}
	o.HTTPClient = boundedClient{o.HTTPClient}
	o.ClientLogMode &^= aws.LogRequestWithBody | aws.LogResponseWithBody
}

// boundedClient ends a reply that is too long for STS with an error.
type boundedClient struct{ sts.HTTPClient }

func (c boundedClient) Do(request *http.Request) (*http.Response, error) {
	response, err := c.HTTPClient.Do(request)
	if err == nil && response.Body != nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxReply)
	}
	return response, err
}

// newHTTPClient returns a client for STS with the transport of the SDK's, or of base
// if it is not nil: its limits, and the proxy of the environment. It follows no
// redirect, which STS does not answer with and which would carry the token along.
func newHTTPClient(base *awshttp.BuildableClient) *http.Client {
	if base == nil {
		base = awshttp.NewBuildableClient()
	}
	return &http.Client{
		Transport:     base.GetTransport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// A bundle of all public authorities has some 200 KiB.
const maxBundle = 4 << 20

// withAuthorities returns a client that trusts the authorities in the file, and no
// others.
func withAuthorities(path string) (*awshttp.BuildableClient, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: correct it, or unset it", envCABundle, err)
	}
	defer file.Close()
	pem, err := io.ReadAll(io.LimitReader(file, maxBundle))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", envCABundle, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %s holds no certificate in PEM: let it name a file with those of the authorities", envCABundle, path)
	}
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.TLSClientConfig.RootCAs = pool
	}), nil
}
