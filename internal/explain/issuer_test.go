package explain

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRuleForKeysNamesDiscoveryDocument(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://oidc.example.com/id/A":            "https://oidc.example.com/id/A/.well-known/openid-configuration",
		"https://eastus.oic.prod-aks.azure.com/A/": "https://eastus.oic.prod-aks.azure.com/A/.well-known/openid-configuration",
	} {
		for _, f := range []Facts{respond("IDPCommunicationError", "", ""), respond("InvalidIdentityToken", "Couldn't retrieve verification key", "")} {
			f.Claims.Issuer = issuer
			assert.Contains(t, For(f).Text, want+" ")
		}
	}
}

func TestIsPublicRejectsReservedNames(t *testing.T) {
	for issuer, want := range map[string]bool{
		"https://oidc.eks.us-west-2.amazonaws.com/id/A": true,
		"https://api.internal.cluster.example.com":      true,  // the kOps default; the zone's owner can publish it
		"https://api.internal.cluster.k8s.local":        false, // the kOps default without DNS
		"https://API.CLUSTER.K8S.LOCAL.":                false,
		"https://oidc.corp.internal":                    false,
		"https://api.cluster.localhost":                 false,
		"https://local.example.com":                     true,
		"https://kubernetes.default.svc":                false,
		"https://kubernetes.default.svc.cluster.local":  false,
		"http://oidc.example.com":                       false,
	} {
		assert.Equal(t, want, IsPublic(issuer), issuer)
	}
	a := For(respond("InvalidIdentityToken", "No OpenIDConnect provider found in your account for x", "", func(f *Facts) { f.Claims.Issuer = "https://api.internal.cluster.k8s.local" }))
	assert.NotContains(t, a.Text, "create-open-id-connect-provider", "IAM cannot reach the issuer")
	assert.Contains(t, a.Text, "--service-account-issuer")
}
