package config

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// maxBundle is the maximum size of a CA bundle. A bundle of all public authorities has about
// 200 KiB.
const maxBundle = 4 << 20

// readAuthorities sets the HTTP client of service clients to one that trusts only the
// authorities in AWS_CA_BUNDLE.
func (env Environment) readAuthorities(c *Config) error {
	path := env.Lookup(EnvCABundle)
	if path == "" {
		return nil
	}
	file, err := env.Open(path)
	if err != nil {
		return fmt.Errorf("%s: %w", EnvCABundle, err)
	}
	defer func() { _ = file.Close() }()
	pem, err := io.ReadAll(io.LimitReader(file, maxBundle+1))
	if err != nil {
		return fmt.Errorf("%s: %w", EnvCABundle, err)
	}
	if len(pem) > maxBundle {
		return fmt.Errorf("%s: %s is larger than %d MiB", EnvCABundle, path, maxBundle>>20)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s: %s holds no certificate in PEM", EnvCABundle, path)
	}
	c.Shared.Services = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.TLSClientConfig.RootCAs = pool
	})
	return nil
}
