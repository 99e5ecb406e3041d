package irsatest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

// Algorithms that Kubernetes uses to sign service account tokens.
const (
	rs256 = "RS256" // RSA with 2048 bits
	es256 = "ES256" // ECDSA on P-256
)

// Issuer is the OIDC issuer of a Kubernetes cluster. It signs service account tokens and publishes
// the keys that verify them. Keys are generated on first use. An Issuer is safe for concurrent use.
type Issuer struct {
	url       string
	chosenURL bool // set by Options.IssuerURL
	cluster   *Cluster
	client    *http.Client // reaches an external issuer; nil for the kit's own issuers

	mu        sync.Mutex
	algorithm string
	keys      []jose.JSONWebKey // all are published, and the last one signs
}

// NewIssuer creates the OIDC issuer of another Kubernetes cluster. No AWS account accepts its tokens
// until [Cluster.RegisterIssuer].
func (k *Cluster) NewIssuer() *Issuer {
	i := &Issuer{url: k.issuerBase + upperHex(16), cluster: k, algorithm: rs256}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.issuers = append(k.issuers, i)
	return i
}

// URL returns the issuer's identifier, which is the iss claim of its tokens. In memory, it is
// https://oidc.eks.<region>.amazonaws.com/id/<32 hexadecimal digits>, as in EKS. On loopback, it is
// http://127.0.0.1:<port>/id/<32 hexadecimal digits>, and the discovery document and keys are served
// below it. For Cluster.Issuer, it is Options.IssuerURL if that was set.
func (i *Issuer) URL() string { return i.url }

// RotateKeys generates a new key, which signs all subsequent tokens. As in a real rotation, the old
// keys remain published, so tokens signed with them stay valid until [Issuer.RetireKeys].
func (i *Issuer) RotateKeys() {
	i.cluster.check(i.checkNotExternal())
	i.mu.Lock()
	algorithm := i.algorithm
	i.mu.Unlock()
	key, err := newKey(algorithm)
	i.cluster.check(err)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, key)
}

// RetireKeys stops publishing all keys but the newest. From then on, tokens signed with the older
// keys are rejected.
func (i *Issuer) RetireKeys() {
	i.cluster.check(i.checkNotExternal())
	i.mu.Lock()
	defer i.mu.Unlock()
	if n := len(i.keys); n > 0 {
		i.keys = slices.Clone(i.keys[n-1:])
	}
}

// SetAlgorithm sets the algorithm for keys generated later, by [Issuer.RotateKeys] or on first use.
// Existing keys do not change. As in Kubernetes, the algorithm is either "RS256", the default, or
// "ES256", whose keys are generated much faster. Any other algorithm ends the test.
func (i *Issuer) SetAlgorithm(algorithm string) {
	if algorithm != rs256 && algorithm != es256 {
		i.cluster.check(fmt.Errorf("unsupported algorithm %q: use RS256 or ES256", algorithm))
	}
	i.cluster.check(i.checkNotExternal())
	i.mu.Lock()
	defer i.mu.Unlock()
	i.algorithm = algorithm
}

// signingKey returns the key that signs tokens. It generates the first key on demand.
func (i *Issuer) signingKey() (jose.JSONWebKey, error) {
	if err := i.checkNotExternal(); err != nil {
		return jose.JSONWebKey{}, err
	}
	i.mu.Lock()
	keys, algorithm := i.keys, i.algorithm
	i.mu.Unlock()
	if len(keys) > 0 {
		return keys[len(keys)-1], nil
	}
	key, err := newKey(algorithm) // takes about 50 ms, so not while holding the lock
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

// published returns the issuer's JWKS.
func (i *Issuer) published() jose.JSONWebKeySet {
	i.mu.Lock()
	defer i.mu.Unlock()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, key := range i.keys {
		set.Keys = append(set.Keys, key.Public())
	}
	return set
}

// newKey returns a new key. As in Kubernetes, its key ID is the hash of the public key
// (pkg/serviceaccount/jwt.go, keyIDFromPublicKey).
func newKey(algorithm string) (jose.JSONWebKey, error) {
	var key crypto.Signer
	var err error
	if algorithm == es256 {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		key, err = spareKeys.get()
	}
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
		Algorithm: algorithm,
		Use:       "sig",
	}, nil
}

// checkIssuerURL returns an error unless raw is a valid issuer URL according to OpenID Connect
// Discovery 1.0, section 2, and the rules for IAM OIDC providers.
func checkIssuerURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(raw, "?#") {
		return fmt.Errorf("%q is not the URL of an OIDC issuer: it must be https://HOST or https://HOST/PATH", raw)
	}
	return nil
}

const (
	discoveryPath = "/.well-known/openid-configuration"
	keysPath      = "/keys"
)

// withoutSlash removes a trailing slash from an issuer URL, so that the discovery document's path can
// be appended (OpenID Connect Discovery 1.0, section 4.1).
func withoutSlash(issuer string) string { return strings.TrimSuffix(issuer, "/") }

// issuerOf returns the issuer that serves a document, and the document's path below the issuer's URL.
// It returns nil if there is no such document.
func (k *Cluster) issuerOf(host, path string) (*Issuer, string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, i := range k.issuers {
		below, ok := strings.CutPrefix(host+path, withoutScheme(withoutSlash(i.url)))
		if ok && i.client == nil && (below == discoveryPath || below == keysPath) {
			return i, below
		}
	}
	return nil, ""
}

// hasIssuerAt reports whether any of the kit's own issuers is at host, which includes the port.
func (k *Cluster) hasIssuerAt(host string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.ContainsFunc(k.issuers, func(i *Issuer) bool {
		return i.client == nil && strings.HasPrefix(withoutScheme(i.url)+"/", host+"/")
	})
}

// handleIssuers serves discovery documents and keys at the same paths as EKS.
func (k *Cluster) handleIssuers(w http.ResponseWriter, r *http.Request) {
	i, below := k.issuerOf(r.Host, r.URL.EscapedPath())
	switch {
	case i != nil && below == discoveryPath:
		set := i.published()
		algorithms := []string{}
		for _, key := range set.Keys {
			if !slices.Contains(algorithms, key.Algorithm) {
				algorithms = append(algorithms, key.Algorithm)
			}
		}
		writeJSON(w, map[string]any{
			"issuer":                                i.url,
			"jwks_uri":                              withoutSlash(i.url) + keysPath,
			"response_types_supported":              []string{"id_token"},
			"subject_types_supported":               []string{"public"},
			"id_token_signing_alg_values_supported": algorithms,
		})
	case i != nil:
		writeJSON(w, i.published())
	default:
		http.NotFound(w, r)
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // fails only if the client has disconnected
}
