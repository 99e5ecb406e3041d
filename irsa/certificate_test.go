package irsa_test

import (
	"encoding/pem"
	"net/http/httptest"
	"testing"
)

// certificate returns a certificate in PEM.
func certificate(t *testing.T) []byte {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}
