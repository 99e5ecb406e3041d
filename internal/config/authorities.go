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

// maxBundle limits the size of a CA bundle. A bundle of all public authorities is about 200 KiB.
const maxBundle = 4 << 20

// bundle is a CA bundle, parsed on first use.
type bundle struct {
	text        []byte
	authorities func() *x509.CertPool
}

// newestBundle caches the last bundle by content, because parsing all public authorities takes
// milliseconds.
var newestBundle atomic.Pointer[bundle]

// readAuthorities reads the authorities in AWS_CA_BUNDLE, if set. It also sets up an HTTP client
// that trusts only those authorities, for use by service clients.
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
			return fmt.Errorf("%s: %s contains no PEM certificate", EnvCABundle, path)
		}
		b = &bundle{text, sync.OnceValue(func() *x509.CertPool {
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(text)
			return pool
		})}
		newestBundle.Store(b)
	}
	c.Shared.Authorities = b.authorities
	c.Shared.Services = sync.OnceValue(func() *awshttp.BuildableClient {
		return Trusting(b.authorities().Clone()) // a copy, because the application may modify it
	})
	return nil
}

// Trusting returns an HTTP client that trusts only the given authorities.
func Trusting(authorities *x509.CertPool) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.TLSClientConfig.RootCAs = authorities })
}

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

// hasCertificate reports whether text contains a PEM certificate.
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
