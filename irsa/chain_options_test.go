package irsa_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
)

// A program can reuse the slices and variables that its options refer to for the next role.
func TestAssumeRoleCopiesOptions(t *testing.T) {
	k, pod, roles := threeAccounts(t)
	form := &lastForm{RoundTripper: k.HTTPClient().Transport}
	client := &http.Client{Transport: form}
	p := newProvider(t, pod.Options, func(o *irsa.Options) { o.HTTPClient = client })
	for name, own := range map[string]func(*stscreds.AssumeRoleOptions){
		"library's client": func(*stscreds.AssumeRoleOptions) {},
		"own client": func(o *stscreds.AssumeRoleOptions) {
			o.Client = sts.New(sts.Options{Region: "us-west-2", Credentials: p, HTTPClient: client})
		},
	} {
		t.Run(name, func(t *testing.T) {
			tags := []types.Tag{{Key: aws.String("team"), Value: aws.String("blue")}}
			keys := []string{"team"}
			policies := []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::444455556666:policy/read")}}
			externalID, policy, identity := "id", "{}", "jane"
			var kept *stscreds.AssumeRoleOptions
			derived, err := p.AssumeRole(roles[1].ARN(), own, func(o *stscreds.AssumeRoleOptions) {
				o.Tags, o.TransitiveTagKeys, o.PolicyARNs, o.ExternalID, o.Policy, o.SourceIdentity = tags, keys, policies, &externalID, &policy, &identity
				kept = o
			})
			require.NoError(t, err)
			tagOf, policyOf := tags[0].Value, policies[0].Arn
			tags[0], keys[0], policies[0] = types.Tag{Key: aws.String("team"), Value: aws.String("red")}, "changed", types.PolicyDescriptorType{Arn: aws.String("changed")}
			*tagOf, *policyOf, externalID, policy, identity = "red", "changed", "changed", "changed", "changed"
			*kept = stscreds.AssumeRoleOptions{}
			_ = derived.Ready(t.Context())
			require.Equal(t, "AssumeRole", form.get("Action"))
			assert.Equal(t, "blue", form.get("Tags.member.1.Value"))
			assert.Equal(t, "id", form.get("ExternalId"))
			assert.Equal(t, "{}", form.get("Policy"))
			assert.Equal(t, "jane", form.get("SourceIdentity"))
			assert.Equal(t, "team", form.get("TransitiveTagKeys.member.1"))
			assert.Equal(t, "arn:aws:iam::444455556666:policy/read", form.get("PolicyArns.member.1.arn"))
		})
	}
}

// The library does not know the session name that an application's client uses.
func TestChainContinuesAfterOwnClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod, roles := threeAccounts(t)
		first := newProvider(t, pod.Options)
		second, err := first.AssumeRole(roles[1].ARN(), func(o *stscreds.AssumeRoleOptions) {
			o.Client = sts.New(sts.Options{Region: "us-west-2", Credentials: first, HTTPClient: k.HTTPClient()})
		})
		require.NoError(t, err)
		third, err := second.AssumeRole(roles[2].ARN())
		require.NoError(t, err)
		assert.Equal(t, "777788889999", retrieve(t, third).AccountID)
		assert.NotEmpty(t, third.Status().SessionName)
	})
}
