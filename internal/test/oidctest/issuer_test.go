package oidctest

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

const (
	issuerURL     = "https://issuer.example"
	discoveryPath = "/.well-known/openid-configuration"
	keysPath      = "/keys"
)

// An issuer publishes documents and has private keys to sign tokens.
type issuer struct {
	url       string
	documents map[string]string        // by path
	private   map[string]crypto.Signer // by key ID
}

// newIssuer returns an issuer with a key of each type, two keys with the ID "twin", and the
// secret of its MACs. A genuine issuer must not publish such a secret.
func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{url: issuerURL, private: map[string]crypto.Signer{}}
	var err error
	i.private["rsa"], err = rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, i.private["ed25519"], err = ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for name, curve := range map[string]elliptic.Curve{
		"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521(),
		"twin": elliptic.P256(), "other twin": elliptic.P256(), "unknown": elliptic.P256(),
	} {
		i.private[name], err = ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
	}
	i.documents = map[string]string{
		discoveryPath: `{"issuer": "` + i.url + `", "jwks_uri": "` + i.url + keysPath + `", "id_token_signing_alg_values_supported": ["RS256"]}`,
		keysPath: `{"keys": [` + strings.Join([]string{
			i.jwk(t, "rsa", "rsa"), i.jwk(t, "p256", "p256"), i.jwk(t, "p384", "p384"), i.jwk(t, "p521", "p521"),
			i.jwk(t, "ed25519", "ed25519"), i.jwk(t, "twin", "twin"), i.jwk(t, "other twin", "twin"),
			`{"kty":"oct","kid":"secret","k":"` + encode(publicPEM(t, i.private["rsa"])) + `"}`,
		}, ", ") + `]}`,
	}
	return i
}

// publishing returns the issuer with another document at path.
func (i *issuer) publishing(path, text string) *issuer {
	out := *i
	out.documents = maps.Clone(i.documents)
	out.documents[path] = text
	return &out
}

// RoundTrip serves the documents.
func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	text, ok := i.documents[strings.TrimPrefix(r.URL.String(), i.url)]
	response := &http.Response{Status: "200 OK", StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(text)), Request: r}
	if !ok {
		response.Status, response.StatusCode = "404 Not Found", http.StatusNotFound
	}
	return response, nil
}

// jwk returns the public key as a member of a key set.
func (i *issuer) jwk(t testing.TB, name, id string) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKey{Key: i.private[name].Public(), KeyID: id})
	require.NoError(t, err)
	return string(text)
}

// The header and the claims of a token that both verifiers accept.
const (
	goodHeader = `{"alg":"ES256","kid":"p256"}`
	goodClaims = `{"iss":"` + issuerURL + `","sub":"system:serviceaccount:shop:cart","aud":"sts.amazonaws.com","exp":4102444800,"iat":1767312000}`
)

// encode encodes as base64url without padding.
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

// signedBy returns a token that is signed with the algorithm, regardless of the header. The
// key is used only if both the key and the algorithm are of ECDSA.
func (i *issuer) signedBy(t testing.TB, algorithm, key, header, claims string) string {
	t.Helper()
	input := encode([]byte(header)) + "." + encode([]byte(claims))
	return input + "." + encode(i.sign(t, algorithm, key, []byte(input)))
}

// sign returns a signature. It is empty for the algorithm none, and one of ECDSA for an
// unknown algorithm.
func (i *issuer) sign(t testing.TB, algorithm, key string, input []byte) []byte {
	t.Helper()
	hash := crypto.SHA256
	switch {
	case strings.HasSuffix(algorithm, "384"):
		hash = crypto.SHA384
	case strings.HasSuffix(algorithm, "512"):
		hash = crypto.SHA512
	}
	h := hash.New()
	h.Write(input)
	sum := h.Sum(nil)
	var signature []byte
	var err error
	switch algorithm {
	case "", "none", "None", "NONE":
	case "RS256", "RS384", "RS512":
		signature, err = i.private["rsa"].Sign(rand.Reader, sum, hash)
	case "PS256", "PS384", "PS512":
		signature, err = i.private["rsa"].Sign(rand.Reader, sum, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash})
	case "EdDSA":
		signature, err = i.private["ed25519"].Sign(rand.Reader, input, crypto.Hash(0))
	case "HS256", "HS384", "HS512": // with the public key as the secret
		signature = hmacOf(hash, publicPEM(t, i.private["rsa"]), input)
	default:
		own, ok := i.private[key].(*ecdsa.PrivateKey)
		if !ok {
			own = i.private[cmp.Or(map[string]string{"ES384": "p384", "ES512": "p521"}[algorithm], "p256")].(*ecdsa.PrivateKey)
		}
		r, s, signErr := ecdsa.Sign(rand.Reader, own, sum)
		size := (own.Curve.Params().BitSize + 7) / 8 // RFC 7518, section 3.4
		signature, err = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...), signErr
	}
	require.NoError(t, err)
	return signature
}

func hmacOf(hash crypto.Hash, secret, input []byte) []byte {
	mac := hmac.New(hash.New, secret)
	mac.Write(input)
	return mac.Sum(nil)
}

func publicPEM(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// verifiers contains the two verifiers. Each reports whether it accepts the signature and
// the issuer of a token, and returns a description of the result.
type verifiers struct {
	irsakit, goOIDC func(testing.TB, string) (bool, string)
}

// verifiers returns verifiers for tokens of the issuer. Each performs its own discovery.
func (i *issuer) verifiers(t testing.TB) verifiers {
	t.Helper()
	k := irsatest.New(t)
	registered := k.ExternalIssuer(i.url, &http.Client{Transport: i})
	k.RegisterIssuer("111122223333", registered)
	role := k.Role("s3-writer", irsatest.Trust(registered.ServiceAccount("shop", "cart")))
	client := k.HTTPClient()
	ctx := oidc.ClientContext(context.Background(), &http.Client{Transport: i})
	provider, undiscovered := oidc.NewProvider(ctx, i.url)
	var verifier *oidc.IDTokenVerifier
	if undiscovered == nil {
		verifier = provider.Verifier(&oidc.Config{
			SkipClientIDCheck: true, SkipExpiryCheck: true, // not part of the comparison
			SupportedSigningAlgs: []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512},
		})
	}
	return verifiers{
		irsakit: func(t testing.TB, token string) (bool, string) {
			response, err := client.PostForm("https://sts.us-west-2.amazonaws.com/", url.Values{
				"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"},
				"RoleArn": {role.ARN()}, "RoleSessionName": {"cart"}, "WebIdentityToken": {token},
			})
			require.NoError(t, err)
			text, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			calls := k.STS.Calls()
			k.STS.ForgetCalls()
			if response.StatusCode == http.StatusOK {
				return true, "credentials"
			}
			var rejection struct {
				Code    string `xml:"Error>Code"`
				Message string `xml:"Error>Message"`
			}
			require.NoError(t, xml.NewDecoder(bytes.NewReader(text)).Decode(&rejection))
			return afterVerification(rejection.Code, rejection.Message), rejection.Code + ": " + rejection.Message + ": " + calls[0].Reason
		},
		goOIDC: func(t testing.TB, token string) (bool, string) {
			if undiscovered != nil {
				return false, undiscovered.Error()
			}
			if _, err := verifier.Verify(t.Context(), token); err != nil {
				return false, err.Error()
			}
			return true, "an ID token"
		},
	}
}

// afterVerification reports whether STS rejected a token in a check that follows the
// verification of the signature and the issuer.
func afterVerification(code, message string) bool {
	switch code {
	case "ExpiredTokenException", "AccessDenied":
		return true
	case "InvalidIdentityToken":
		return message == "The token is not yet valid" || message == "Incorrect token audience"
	}
	return false
}
