package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// An authority signs the certificates of the servers and of the administrator.
type authority struct {
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	client      *http.Client // trusts only this authority
}

// newAuthority writes ca.crt and the certificates "server" and "admin" to dir.
func newAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &authority{dir: dir, key: key, certificate: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "e2e"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}}
	if err := ca.issue("ca", ca.certificate, key); err != nil {
		return nil, err
	}
	if err := ca.leaf("server", x509.ExtKeyUsageServerAuth, pkix.Name{CommonName: "server"}); err != nil {
		return nil, err
	}
	if err := ca.connect(); err != nil {
		return nil, err
	}
	return ca, ca.leaf("admin", x509.ExtKeyUsageClientAuth, pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}})
}

func (ca *authority) leaf(name string, usage x509.ExtKeyUsage, subject pkix.Name) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	return ca.issue(name, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, key)
}

// issue signs a certificate and writes it and its key.
func (ca *authority) issue(name string, template *x509.Certificate, key *ecdsa.PrivateKey) error {
	der, err := x509.CreateCertificate(rand.Reader, template, ca.certificate, key.Public(), ca.key)
	if err != nil {
		return fmt.Errorf("signing the certificate %s: %w", name, err)
	}
	if err := writePEM(ca.file(name+".crt"), "CERTIFICATE", der, 0o644); err != nil {
		return err
	}
	return writeKey(ca.file(name+".key"), key)
}

// connect creates the client.
func (ca *authority) connect() error {
	data, err := os.ReadFile(ca.file("ca.crt"))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return errors.New("the authority's certificate is none")
	}
	ca.client = &http.Client{
		Timeout: 2 * time.Minute, // a busy machine must not cause a failure
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
			MaxIdleConnsPerHost: 32,
		},
	}
	return nil
}

func (ca *authority) file(name string) string { return filepath.Join(ca.dir, name) }

// newSigningKey writes a signing key for service account tokens, of the kind that kubeadm
// creates.
func newSigningKey(path string) (string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	return path, writeKey(path, key)
}

func writeKey(path string, key any) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "PRIVATE KEY", der, 0o600)
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}
