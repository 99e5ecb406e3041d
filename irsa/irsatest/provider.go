package irsatest

import (
	"fmt"
	"slices"
)

// A provider is an IAM OIDC provider of an account.
type provider struct {
	account, issuer string
}

// RegisterIssuer makes the issuer an OIDC provider of the AWS account, as "aws iam
// create-open-id-connect-provider" does; the client IDs are the audiences that it
// accepts: "sts.amazonaws.com" if there are none. The Cluster's own account knows
// the Cluster's own issuer from the start. A repeated call replaces the client IDs.
func (k *Cluster) RegisterIssuer(accountID string, issuer *Issuer, clientIDs ...string) {
	k.check(checkAccount(accountID))
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

// UnregisterIssuer deletes the OIDC provider from the account.
func (k *Cluster) UnregisterIssuer(accountID string, issuer *Issuer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.providers, provider{accountID, issuer.url})
}

// clientIDs returns those of an account's OIDC provider, and whether there is one.
func (k *Cluster) clientIDs(account, issuer string) ([]string, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	ids, ok := k.providers[provider{account, issuer}]
	return ids, ok
}

func (k *Cluster) providerARN(account, issuer string) string {
	return "arn:" + partition(k.region) + ":iam::" + account + ":oidc-provider/" + withoutScheme(issuer)
}
