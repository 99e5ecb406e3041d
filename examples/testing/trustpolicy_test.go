package shop_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	shop "github.com/irsakit/irsakit/examples/testing"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// production sets the account, region and issuer used by the trust policies in testdata.
func production(o *irsatest.Options) {
	o.Region = "eu-central-1"
	o.AccountID = "444455556666"
	o.IssuerURL = "https://oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
}

func TestTerraformTrustPolicyAllowsCart(t *testing.T) {
	policy, err := os.ReadFile("testdata/terraform.json")
	require.NoError(t, err)
	k := irsatest.New(t, production)
	pod := k.Pod(k.ServiceAccount("shop", "cart"), k.Role("uploader", irsatest.TrustPolicy(string(policy))))
	u, err := shop.NewUploader(pod.Options)
	require.NoError(t, err)
	defer u.Close()
	_, err = u.Link(t.Context(), "4711")
	require.NoError(t, err)
}

func TestTerraformTrustPolicyDeniesOthers(t *testing.T) {
	policy, err := os.ReadFile("testdata/terraform.json")
	require.NoError(t, err)
	k := irsatest.New(t, production)
	pod := k.Pod(k.ServiceAccount("shop", "search"), k.Role("uploader", irsatest.TrustPolicy(string(policy))))
	u, err := shop.NewUploader(pod.Options)
	require.NoError(t, err)
	defer u.Close()
	_, err = u.Link(t.Context(), "4711")
	require.ErrorIs(t, err, irsa.ErrAccessDenied)
	assert.Equal(t, `trust policy: statement 1: StringEquals on "oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE:sub"`+
		` expects "system:serviceaccount:shop:cart", found "system:serviceaccount:shop:search" (another service account)`, k.STS.Calls()[0].Reason)
}

func TestCloudFormationTrustPolicyAllowsNamespace(t *testing.T) {
	file, err := os.ReadFile("testdata/cloudformation.json")
	require.NoError(t, err)
	var template struct {
		Resources map[string]struct {
			Properties struct{ AssumeRolePolicyDocument json.RawMessage }
		}
	}
	require.NoError(t, json.Unmarshal(file, &template))
	policy := string(template.Resources["UploaderRole"].Properties.AssumeRolePolicyDocument)

	k := irsatest.New(t, production)
	role := k.Role("uploader", irsatest.TrustPolicy(policy))
	for _, name := range []string{"cart", "search"} {
		u, err := shop.NewUploader(k.Pod(k.ServiceAccount("shop", name), role).Options)
		require.NoError(t, err)
		defer u.Close()
		_, err = u.Link(t.Context(), "4711")
		require.NoError(t, err, name)
	}

	u, err := shop.NewUploader(k.Pod(k.ServiceAccount("blog", "cart"), role).Options)
	require.NoError(t, err)
	defer u.Close()
	_, err = u.Link(t.Context(), "4711")
	require.ErrorIs(t, err, irsa.ErrAccessDenied)
}
