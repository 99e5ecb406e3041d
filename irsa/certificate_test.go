package irsa_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"testing"
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
