package irsatest

import (
	"cmp"
	"fmt"
	"net/http"
	"time"
)

// What the STS takes of an issuer elsewhere: a discovery document and a set of keys, which
// have some KiB, and AWS waits for them for five seconds
// (https://repost.aws/knowledge-center/iam-sts-invalididentitytoken).
const (
	maxDiscoveryBytes = 1 << 20
	discoveryTimeout  = 5 * time.Second
)

// ExternalIssuer is an OIDC issuer elsewhere, such as the API server of a real cluster.
// The STS discovers it and fetches its keys with the client, which has to trust its
// certificate; with nil it is http.DefaultClient. It waits for each reply for 5 s at most,
// or for as long as the client's own Timeout, and reads no more than a MiB of it. As with
// [Cluster.NewIssuer] no AWS account trusts its tokens before [Cluster.RegisterIssuer].
//
// Its tokens come from there: of the Issuer's methods URL and ServiceAccount are of use,
// the latter for [Trust], and the kit makes no token and no pod of such a service account.
func (k *Cluster) ExternalIssuer(issuerURL string, client *http.Client) *Issuer {
	k.check(checkIssuerURL(issuerURL))
	if k.issuerNamed(issuerURL) != nil {
		k.check(fmt.Errorf("there is an issuer %s already", issuerURL))
	}
	if client == nil {
		client = http.DefaultClient
	}
	limited := *client
	limited.Transport = limitedTransport{cmp.Or(client.Transport, http.DefaultTransport)}
	limited.Timeout = cmp.Or(client.Timeout, discoveryTimeout)
	i := &Issuer{url: issuerURL, cluster: k, algorithm: RS256, client: &limited}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.issuers = append(k.issuers, i)
	return i
}

// limitedTransport is a transport whose replies end with an error where they are too large.
type limitedTransport struct{ http.RoundTripper }

// RoundTrip sends a request.
func (t limitedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(request)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxDiscoveryBytes)
	}
	return response, err
}

// checkNotExternal is the error of asking an issuer elsewhere for what it does by itself.
func (i *Issuer) checkNotExternal() error {
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
