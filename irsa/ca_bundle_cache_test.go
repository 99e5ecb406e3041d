package irsa_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
)

// writeBundle writes a CA bundle with n new certificates and sets AWS_CA_BUNDLE.
func writeBundle(t testing.TB, n int) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	var bundle bytes.Buffer
	for i := range n {
		template := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: fmt.Sprintf("Authority %d", i)}, NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		require.NoError(t, err)
		bundle.Write(inPEM(&x509.Certificate{Raw: der}))
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(path, bundle.Bytes(), 0o600))
	t.Setenv("AWS_CA_BUNDLE", path)
}

// allocationsOf returns the number of allocations that a function makes.
func allocationsOf(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// Parsing a certificate makes about 40 allocations.
func TestNewParsesCABundleOnce(t *testing.T) {
	const certificates = 50
	var p *irsa.Provider
	open := func(optFns ...func(*irsa.Options)) func() {
		return func() { p = newProvider(t, append(optFns, valid)...) }
	}
	open()()
	least := allocationsOf(open())
	for _, what := range []string{"a bundle", "another bundle"} {
		writeBundle(t, certificates)
		assert.Greater(t, allocationsOf(open()), least+20*certificates, "%s is parsed", what)
		assert.Less(t, allocationsOf(open()), least+4*certificates, "%s is not parsed again", what)
	}

	writeBundle(t, certificates)
	own := func(o *irsa.Options) { o.HTTPClient = http.DefaultClient }
	assert.Less(t, allocationsOf(open(own)), least+4*certificates, "it is not used yet")
	assert.Greater(t, allocationsOf(func() { p.AWSConfig() }), uint64(20*certificates), "it is used")
	assert.Less(t, allocationsOf(func() { p.AWSConfig() }), uint64(50), "one client for all configurations")
}

// BenchmarkNewWithCABundle measures irsa.New after the first call in a process.
func BenchmarkNewWithCABundle(b *testing.B) {
	writeBundle(b, 140)
	b.ReportAllocs()
	for b.Loop() {
		p, err := irsa.New(valid)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
