package irsatest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

// Issuer is the cluster's OIDC issuer: it signs the service account tokens and
// publishes the keys to verify them with. Its keys are RS256 with 2048 bits, as
// Kubernetes' are by default, and made when the first token is. It is safe for
// concurrent use.
type Issuer struct {
	url   string
	check func(error)

	mu   sync.Mutex
	keys []jose.JSONWebKey // the last one signs, all are published
}

// URL returns the issuer's identifier, the iss claim of its tokens: in memory
// https://oidc.eks.<region>.amazonaws.com/id/<32 hexadecimal digits>, as EKS
// names it; on loopback http://127.0.0.1:<port>/id/<32 hexadecimal digits>,
// which serves the discovery document and the keys beneath it.
func (i *Issuer) URL() string { return i.url }

// RotateKeys signs the tokens to come with a new key. The old keys stay
// published, so that tokens signed with them stay good, as in a real rotation.
func (i *Issuer) RotateKeys() {
	key, err := newKey()
	i.check(err)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, key)
}

// signingKey returns the key that signs, and makes the first one.
func (i *Issuer) signingKey() (jose.JSONWebKey, error) {
	if keys := i.allKeys(); len(keys) > 0 {
		return keys[len(keys)-1], nil
	}
	key, err := newKey() // some 50 ms: not under the lock
	if err != nil {
		return key, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.keys) == 0 {
		i.keys = append(i.keys, key)
	}
	return i.keys[len(i.keys)-1], nil
}

func (i *Issuer) allKeys() []jose.JSONWebKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.keys)
}

// newKey makes a key named as Kubernetes names its own: by the hash of the
// public key (pkg/serviceaccount/jwt.go, keyIDFromPublicKey).
func newKey() (jose.JSONWebKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return jose.JSONWebKey{}, fmt.Errorf("making a signing key: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return jose.JSONWebKey{}, fmt.Errorf("naming a signing key: %w", err)
	}
	sum := sha256.Sum256(der)
	return jose.JSONWebKey{
		Key:       key,
		KeyID:     base64.RawURLEncoding.EncodeToString(sum[:]),
		Algorithm: string(jose.RS256),
		Use:       "sig",
	}, nil
}

// handle serves the discovery document and the keys, at the paths EKS uses.
func (i *Issuer) handle(w http.ResponseWriter, r *http.Request) {
	_, id, _ := strings.Cut(i.url, "/id/")
	switch r.URL.Path {
	case "/id/" + id + "/.well-known/openid-configuration":
		writeJSON(w, map[string]any{
			"issuer":                                i.url,
			"jwks_uri":                              i.url + "/keys",
			"response_types_supported":              []string{"id_token"},
			"subject_types_supported":               []string{"public"},
			"id_token_signing_alg_values_supported": []string{string(jose.RS256)},
		})
	case "/id/" + id + "/keys":
		set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
		for _, key := range i.allKeys() {
			set.Keys = append(set.Keys, key.Public())
		}
		writeJSON(w, set)
	default:
		http.NotFound(w, r)
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}
