package irsatest

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// A provider identifies an IAM OIDC provider in an account.
type provider struct {
	account, issuer string
}

// RegisterIssuer registers the issuer as an OIDC provider in the AWS account, like "aws iam
// create-open-id-connect-provider". The client IDs are the audiences that the provider accepts. If
// there are none, "sts.amazonaws.com" is used. Calling RegisterIssuer again replaces them. The
// Cluster's issuer is already registered in the Cluster's account.
//
// IAM does not accept an issuer whose URL has an IP address or a port, so RegisterIssuer ends the
// test for such an issuer, unless it is one of the kit's own on loopback.
func (k *Cluster) RegisterIssuer(accountID string, issuer *Issuer, clientIDs ...string) {
	k.check(checkAccount(accountID))
	k.checkOwn(issuer)
	if !strings.HasPrefix(issuer.url, k.issuerBase) {
		k.check(checkProviderURL(issuer.url))
	}
	// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html
	if len(clientIDs) > 100 {
		k.check(fmt.Errorf("an OIDC provider has 100 client IDs at most, not %d", len(clientIDs)))
	}
	if len(clientIDs) == 0 {
		clientIDs = []string{defaultAudience}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.providers[provider{accountID, issuer.url}] = slices.Clone(clientIDs)
}

// checkProviderURL returns an error if IAM would not register an OIDC provider with this URL, which
// must be a valid issuer. "The URL should not contain a port number", and IAM resolves its host in
// DNS.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html
func checkProviderURL(issuerURL string) error {
	u, err := url.Parse(issuerURL)
	if err != nil {
		return err
	}
	if u.Port() != "" {
		return fmt.Errorf("IAM does not accept an OIDC provider with a port: %s", issuerURL)
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return fmt.Errorf("IAM does not accept an OIDC provider with an IP address: %s", issuerURL)
	}
	return nil
}

// UnregisterIssuer deletes the OIDC provider from the account.
func (k *Cluster) UnregisterIssuer(accountID string, issuer *Issuer) {
	k.checkOwn(issuer)
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.providers, provider{accountID, issuer.url})
}

// clientIDs returns the client IDs of an account's OIDC provider, or false if there is no such
// provider.
func (k *Cluster) clientIDs(account, issuer string) ([]string, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	ids, ok := k.providers[provider{account, issuer}]
	return ids, ok
}

func (k *Cluster) providerARN(account, issuer string) string {
	return "arn:" + partition(k.region) + ":iam::" + account + ":oidc-provider/" + withoutScheme(issuer)
}
