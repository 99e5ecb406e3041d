package irsa_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// certificate returns a certificate in PEM.
func certificate(t *testing.T) []byte {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return inPEM(server.Certificate())
}

func inPEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// The SDK's own client follows redirects with status 307 or 308, which S3 sends for new buckets.
// Service clients with a CA bundle must follow them too.
func TestAWSConfigWithCABundleFollowsRedirects(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
			return
		}
		fmt.Fprint(w, "found")
	}))
	defer server.Close()
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(bundle, inPEM(server.Certificate()), 0o600))
	t.Setenv("AWS_CA_BUNDLE", bundle)
	_, pod := newPod(t)
	p := newProvider(t, pod.Options)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, nil)
	require.NoError(t, err)
	response, err := p.AWSConfig().HTTPClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Equal(t, "found", string(body))
}
