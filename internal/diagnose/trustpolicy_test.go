package diagnose

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestTrustPolicyAdviceFitsMismatch checks that the advice asks for another service account only if
// the policy allows one.
func TestTrustPolicyAdviceFitsMismatch(t *testing.T) {
	const issuer = "oidc.eks.us-west-2.amazonaws.com/id/A"
	const provider = "arn:aws:iam::111122223333:oidc-provider/" + issuer
	const policy = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": "` + provider + `"}, "Action": "sts:AssumeRoleWithWebIdentity",
		"Condition": {"StringEquals": {"` + issuer + `:sub": "system:serviceaccount:shop:cart", "` + issuer + `:aud": "sts.amazonaws.com"}}}]}`
	const other = ", or run the pod with the service account that it allows"
	for _, tt := range []struct{ name, old, new, want, detail string }{
		{"another service account", "shop:cart", "shop:search", "change the trust policy to allow this service account" + other, "another service account"},
		{"no wildcard operator", "shop:cart", "shop:*", "change the trust policy to allow this service account", "use StringLike"},
		{"no wildcard operator, and another service account", `"system:serviceaccount:shop:cart"`, `["system:serviceaccount:shop:*", "system:serviceaccount:shop:search"]`, "change the trust policy to allow this service account" + other, "shop:search"},
		{"wildcard of another namespace", `"StringEquals": {"` + issuer + `:sub": "system:serviceaccount:shop:cart", `, `"StringLike": {"` + issuer + `:sub": "system:serviceaccount:blog:*"}, "StringEquals": {`, "change the trust policy to allow this service account" + other, "another namespace"},
		{"another issuer", issuer, "oidc.eks.us-west-2.amazonaws.com/id/B", "change the trust policy to allow this service account", "another issuer"},
		{"another audience", `"sts.amazonaws.com"`, `"vault"`, "change the trust policy to allow this service account", `expects "vault"`},
		{"another action", "WithWebIdentity", "", "change the trust policy to allow this service account", "sts:AssumeRole is not enough"},
		{"Pod Identity", `{"Federated": "` + provider + `"}`, `{"Service": "pods.eks.amazonaws.com"}`, "change the trust policy to allow this service account", "EKS Pod Identity"},
		{
			"a Deny", `[{`, `[{"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity"}, {`,
			"change the Deny statement so that it does not apply to this service account", "denied by statement 1",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &Identity{Provider: provider, Issuer: "https://" + issuer, Subject: "system:serviceaccount:shop:cart", Audiences: []string{"sts.amazonaws.com"}, SessionName: "cart"}
			c := TrustPolicy([]byte(strings.ReplaceAll(policy, tt.old, tt.new)), w, Skipped)
			assert.Equal(t, Failed, c.Status)
			assert.Equal(t, tt.want, c.Advice)
			assert.Contains(t, c.Detail, tt.detail)
		})
	}
}
