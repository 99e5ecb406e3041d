package irsatest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// ExternalIssuer is an OIDC issuer elsewhere, such as the API server of a real cluster.
// The STS discovers it and fetches its keys with the client, which has to trust its
// certificate; with nil it is http.DefaultClient. As with [Cluster.NewIssuer] no AWS
// account trusts its tokens before [Cluster.RegisterIssuer].
//
// Its tokens come from there: of the Issuer's methods URL and ServiceAccount are of use,
// the latter for [Trust], and the kit makes no token and no pod of such a service account.
func (k *Cluster) ExternalIssuer(issuerURL string, client *http.Client) *Issuer {
	k.check(checkIssuerURL(issuerURL))
	if client == nil {
		client = http.DefaultClient
	}
	i := &Issuer{url: issuerURL, cluster: k, algorithm: RS256, client: client}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.issuers = append(k.issuers, i)
	return i
}

// checkOurs is the error of asking an issuer elsewhere for what it does by itself.
func (i *Issuer) checkOurs() error {
	if i.client != nil {
		return fmt.Errorf("the issuer %s is not the kit's: take its tokens from there", i.url)
	}
	return nil
}

// issuerNamed returns the issuer with this URL; nil for none.
func (k *Cluster) issuerNamed(issuerURL string) *Issuer {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, i := range k.issuers {
		if i.url == issuerURL {
			return i
		}
	}
	return nil
}

// keySet returns the keys that the issuer publishes, fetched anew from one elsewhere.
func (i *Issuer) keySet(ctx context.Context) (jose.JSONWebKeySet, error) {
	if i.client == nil {
		return i.published(), nil
	}
	var discovery struct {
		JWKS string `json:"jwks_uri"`
	}
	var set jose.JSONWebKeySet
	err := i.get(ctx, strings.TrimSuffix(i.url, "/")+"/.well-known/openid-configuration", &discovery)
	if err == nil {
		err = i.get(ctx, discovery.JWKS, &set)
	}
	return set, err
}

// A discovery document and a set of keys have some KiB.
const maxDiscovery = 1 << 20

func (i *Issuer) get(ctx context.Context, url string, v any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := i.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // it has been read
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return json.NewDecoder(io.LimitReader(response.Body, maxDiscovery)).Decode(v)
}
