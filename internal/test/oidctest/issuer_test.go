package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

const (
	issuerURL     = "https://issuer.example"
	discoveryPath = ".well-known/openid-configuration"
	keysPath      = "keys"
)

// The header and the claims of a token that both verifiers accept.
const (
	goodHeader  = `{"alg":"ES256","kid":"p256"}`
	otherClaims = `"sub":"system:serviceaccount:shop:cart","aud":"sts.amazonaws.com","exp":4102444800,"iat":1767312000}`
	goodClaims  = `{"iss":"` + issuerURL + `",` + otherClaims
)

// An issuer publishes documents and has private keys to sign tokens.
type issuer struct {
	url       string
	documents fstest.MapFS
	private   map[string]crypto.Signer // by key ID
	secrets   map[string][]byte        // secrets of MACs, by key ID: forms of the public RSA key
}

// newIssuer returns an issuer with a key of each type, two keys with the ID "twin", and a secret
// for MACs. A genuine issuer must not publish such a secret.
func newIssuer(t testing.TB, url string) *issuer {
	t.Helper()
	i := &issuer{url: url, documents: fstest.MapFS{}, private: map[string]crypto.Signer{}}
	var err error
	i.private["rsa"], err = rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, i.private["ed25519"], err = ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for name, curve := range map[string]elliptic.Curve{
		"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521(),
		"twin": elliptic.P256(), "other-twin": elliptic.P256(), "unknown": elliptic.P256(),
	} {
		i.private[name], err = ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
	}
	public := i.private["rsa"].Public().(*rsa.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	i.secrets = map[string][]byte{
		"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "DER": der,
		"modulus": public.N.Bytes(), "JWK": []byte(i.jwk(t, "rsa", "rsa")), "empty": {},
	}
	keys := []string{i.jwk(t, "other-twin", "twin"), `{"kty":"oct","kid":"PEM","k":"` + encode(i.secrets["PEM"]) + `"}`}
	for _, name := range []string{"rsa", "p256", "p384", "p521", "ed25519", "twin"} {
		keys = append(keys, i.jwk(t, name, name))
	}
	document := `{"issuer": "` + url + `", "jwks_uri": "` + url + "/" + keysPath + `", "id_token_signing_alg_values_supported": ["RS256"]}`
	return i.publishing(discoveryPath, document).publishing(keysPath, `{"keys": [`+strings.Join(keys, ", ")+`]}`)
}

// publishing returns the issuer with another document at path.
func (i *issuer) publishing(path, text string) *issuer {
	out := *i
	out.documents = maps.Clone(i.documents)
	out.documents[path] = &fstest.MapFile{Data: []byte(text)}
	return &out
}

// jwk returns the public key as a member of a key set.
func (i *issuer) jwk(t testing.TB, name, id string) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKey{Key: i.private[name].Public(), KeyID: id})
	require.NoError(t, err)
	return string(text)
}

var encode = base64.RawURLEncoding.EncodeToString

// token returns a token with the header and claims, signed with the algorithm in the header.
func (i *issuer) token(t testing.TB, header, claims string) string {
	t.Helper()
	var named struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
	}
	_ = json.Unmarshal([]byte(header), &named) // signs even if the header is invalid
	return i.signedBy(t, named.Algorithm, named.KeyID, header, claims)
}

// signedBy returns a token that is signed with the algorithm, regardless of the header.
func (i *issuer) signedBy(t testing.TB, algorithm, key, header, claims string) string {
	t.Helper()
	input := encode([]byte(header)) + "." + encode([]byte(claims))
	return input + "." + encode(i.sign(t, algorithm, key, input))
}

// sign returns a signature. It is empty for the algorithm none, and one of ECDSA for an unknown
// algorithm. The key is used only for MACs and for ECDSA; if it is not an ECDSA key, p256 is used.
func (i *issuer) sign(t testing.TB, algorithm, key, input string) []byte {
	t.Helper()
	method, private := jwt.GetSigningMethod(algorithm), any(i.private["rsa"])
	switch m := method.(type) {
	case *jwt.SigningMethodRSA, *jwt.SigningMethodRSAPSS:
	case *jwt.SigningMethodEd25519:
		private = i.private["ed25519"]
	case *jwt.SigningMethodHMAC:
		private = i.secrets[key]
	default:
		if algorithm == "" || strings.EqualFold(algorithm, "none") {
			return nil
		}
		own, ok := i.private[key].(*ecdsa.PrivateKey)
		if !ok {
			own = i.private["p256"].(*ecdsa.PrivateKey)
		}
		bits := own.Curve.Params().BitSize
		ours := &jwt.SigningMethodECDSA{Hash: crypto.SHA256, KeySize: (bits + 7) / 8, CurveBits: bits} // any curve
		if known, ok := m.(*jwt.SigningMethodECDSA); ok {
			ours.Hash = known.Hash
		}
		method, private = ours, own
	}
	signature, err := method.Sign(input, private)
	require.NoError(t, err)
	return signature
}
