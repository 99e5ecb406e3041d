package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// An authority is the certificate authority of the servers.
type authority struct {
	dir    string
	client *http.Client // trusts only this authority
}

// adminToken authenticates the administrator at the API server and at MinIO, which run only during
// the tests.
const adminToken = "only-for-this-test"

// newAuthority writes to dir the certificate of the servers with that of the authority, and the
// administrator's token.
func newAuthority(dir string) (*authority, error) {
	ca := &authority{dir: dir}
	certificates, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", nil, nil)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(
		cert.WriteCert(ca.file("server.crt"), certificates),
		keyutil.WriteKey(ca.file("server.key"), key),
		os.WriteFile(ca.file("tokens.csv"), []byte(adminToken+",admin,admin,system:masters\n"), 0o600),
	); err != nil {
		return nil, err
	}
	pool, err := cert.NewPoolFromBytes(certificates)
	ca.client = &http.Client{
		Timeout:   2 * time.Minute, // a busy machine must not cause a failure
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 32},
	}
	return ca, err
}

func (ca *authority) file(name string) string { return filepath.Join(ca.dir, name) }

// newSigningKey writes a signing key for service account tokens, of the kind that kubeadm
// creates.
func newSigningKey(path string) (string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	data, err := keyutil.MarshalPrivateKeyToPEM(key)
	return path, errors.Join(err, keyutil.WriteKey(path, data))
}
