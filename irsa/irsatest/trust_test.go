package irsatest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/trustpolicy"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestTrustWritesPolicyWithoutFindings(t *testing.T) {
	w := inMemory(t)
	role := w.Role("several", irsatest.Trust(w.sa, w.ServiceAccount("shop", "search"), w.NewIssuer().ServiceAccount("shop", "cart"), w.role))
	policy, err := trustpolicy.Parse([]byte(role.TrustPolicy()))
	require.NoError(t, err)
	review := policy.Review(trustpolicy.WebIdentity{
		Provider: "arn:aws:iam::111122223333:oidc-provider/" + w.Issuer.URL()[len("https://"):], Issuer: w.Issuer.URL(),
		Subject: w.sa.Subject(), Audiences: []string{"sts.amazonaws.com"}, SessionName: "cart",
	})
	assert.Equal(t, "allowed by statement 1", review.String())
}
