package config

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// maxBundle is the maximum size of a CA bundle. A bundle of all public authorities has about
// 200 KiB.
const maxBundle = 4 << 20

// bundle is a CA bundle. It is parsed at its first use.
type bundle struct {
	text        []byte
	authorities func() *x509.CertPool
}

// newestBundle is the bundle that was read last. It is parsed once per process, as long as the file
// does not change: that takes milliseconds for all public authorities.
var newestBundle atomic.Pointer[bundle]

// readAuthorities sets the HTTP client of service clients to one that trusts only the
// authorities in AWS_CA_BUNDLE.
func (env Environment) readAuthorities(c *Config) error {
	path := env.Lookup(EnvCABundle)
	if path == "" {
		return nil
	}
	text, err := env.readBundle(path)
	if err != nil {
		return fmt.Errorf("%s: %w", EnvCABundle, err)
	}
	b := newestBundle.Load()
	if b == nil || !bytes.Equal(b.text, text) {
		if !hasCertificate(text) {
			return fmt.Errorf("%s: %s holds no certificate in PEM", EnvCABundle, path)
		}
		b = &bundle{text, sync.OnceValue(func() *x509.CertPool {
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(text)
			return pool
		})}
		newestBundle.Store(b)
	}
	c.Shared.Services = sync.OnceValue(func() *awshttp.BuildableClient {
		return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.TLSClientConfig.RootCAs = b.authorities().Clone() // the application may change its own
		})
	})
	return nil
}

// readBundle returns the content of the file at path.
func (env Environment) readBundle(path string) ([]byte, error) {
	file, err := env.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	text.Grow(int(min(info.Size(), maxBundle)) + bytes.MinRead)
	if _, err := text.ReadFrom(io.LimitReader(file, maxBundle+1)); err != nil {
		return nil, err
	}
	if text.Len() > maxBundle {
		return nil, fmt.Errorf("%s is larger than %d MiB", path, maxBundle>>20)
	}
	return text.Bytes(), nil
}

// hasCertificate reports whether text has a certificate in PEM.
func hasCertificate(text []byte) bool {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" || len(block.Headers) > 0 {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err == nil {
			return true
		}
	}
	return false
}
