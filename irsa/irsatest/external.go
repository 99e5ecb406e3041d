package irsatest

import (
	"cmp"
	"fmt"
	"net/http"
	"time"
)

// Limits for responses from an external issuer. Its discovery document and keys are a few KiB. AWS
// waits five seconds for them (https://repost.aws/knowledge-center/iam-sts-invalididentitytoken).
const (
	maxDiscoveryBytes = 1 << 20
	discoveryTimeout  = 5 * time.Second
)

// ExternalIssuer returns an OIDC issuer outside the kit, such as the API server of a real cluster.
// The STS fetches its discovery document and keys with client, which must trust the issuer's
// certificate. If client is nil, http.DefaultClient is used. The STS waits up to 5 s for each
// response, or for the client's Timeout if set, and reads up to 1 MiB of it. As with
// [Cluster.NewIssuer], no AWS account accepts its tokens until [Cluster.RegisterIssuer].
//
// The kit cannot create tokens for an external issuer, or pods with its service accounts, so only
// the Issuer methods URL and ServiceAccount can be used, the latter for [Trust].
func (k *Cluster) ExternalIssuer(issuerURL string, client *http.Client) *Issuer {
	k.check(checkIssuerURL(issuerURL))
	if k.issuerNamed(issuerURL) != nil {
		k.check(fmt.Errorf("issuer %s already exists", issuerURL))
	}
	if client == nil {
		client = http.DefaultClient
	}
	limited := *client
	limited.Transport = limitedTransport{cmp.Or(client.Transport, http.DefaultTransport)}
	limited.Timeout = cmp.Or(client.Timeout, discoveryTimeout)
	i := &Issuer{url: issuerURL, cluster: k, algorithm: rs256, client: &limited}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.issuers = append(k.issuers, i)
	return i
}

// limitedTransport limits response bodies to maxDiscoveryBytes. Reading more returns an error.
type limitedTransport struct{ http.RoundTripper }

// RoundTrip sends the request and limits the response body.
func (t limitedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(request)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxDiscoveryBytes)
	}
	return response, err
}

// checkNotExternal returns an error if the issuer is external, because the kit does not control its
// keys and tokens.
func (i *Issuer) checkNotExternal() error {
	if i.client != nil {
		return fmt.Errorf("the issuer %s is external: the kit cannot sign its tokens", i.url)
	}
	return nil
}

// issuerNamed returns the issuer with the given URL, or nil if there is none.
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
