package irsatest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// supportedAlgorithms returns the signature algorithms supported by IAM OIDC providers.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
func supportedAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512}
}

// publishedKeys fetches the issuer's discovery document and current keys. It returns the keys with
// the given key ID, or an error if there are none.
func (k *Cluster) publishedKeys(ctx context.Context, issuer, keyID string) ([]jose.JSONWebKey, error) {
	client := &http.Client{Transport: memoryTransport{k}} // does not use a socket on either transport
	if i := k.issuerNamed(issuer); i != nil && i.client != nil {
		client = i.client
	}
	var document struct {
		Issuer  string `json:"issuer"`
		KeysURL string `json:"jwks_uri"`
	}
	if err := getJSON(ctx, client, withoutSlash(issuer)+discoveryPath, &document); err != nil {
		return nil, fmt.Errorf("discovering the issuer: %w", err)
	}
	if document.Issuer != issuer { // OpenID Connect Discovery 1.0, section 4.3
		return nil, fmt.Errorf("discovering the issuer: the document of %s names the issuer %q", issuer, document.Issuer)
	}
	var published struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := getJSON(ctx, client, document.KeysURL, &published); err != nil {
		return nil, fmt.Errorf("fetching the issuer's keys: %w", err)
	}
	var set jose.JSONWebKeySet
	for _, text := range published.Keys {
		var key jose.JSONWebKey
		if err := json.Unmarshal(text, &key); err == nil {
			set.Keys = append(set.Keys, key)
		} else if !errors.Is(err, jose.ErrUnsupportedKeyType) { // such keys are skipped (RFC 7517, section 5)
			return nil, fmt.Errorf("reading the issuer's keys: %w", err)
		}
	}
	keys := set.Key(keyID)
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s does not publish the key %q", issuer, keyID)
	}
	return keys, nil
}

// getJSON decodes the response, which must be a single JSON document, into v.
func getJSON(ctx context.Context, client *http.Client, url string, v any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // the body was read
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// verify checks the signature with the keys, the types of the claims (RFC 7519), and that the
// token is from the issuer.
func (i identity) verify(issuer string, keys []jose.JSONWebKey) error {
	var payload json.RawMessage
	err := errors.New("the key is for an algorithm that IAM does not support")
	for _, key := range keys {
		if key.Algorithm != "" && !slices.Contains(supportedAlgorithms(), jose.SignatureAlgorithm(key.Algorithm)) {
			continue
		}
		if err = i.token.Claims(key, &payload); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("verifying the signature: %w", err)
	}
	var claims struct {
		Issuer    string       `json:"iss"`
		Subject   string       `json:"sub"`
		Audience  jwt.Audience `json:"aud"`
		Expiry    float64      `json:"exp"` // json.Number would accept a string
		NotBefore float64      `json:"nbf"`
		IssuedAt  float64      `json:"iat"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return fmt.Errorf("reading the claims: %w", err)
	}
	if claims.Issuer != issuer {
		return fmt.Errorf("the token's issuer is %q, not %s", claims.Issuer, issuer)
	}
	return nil
}
