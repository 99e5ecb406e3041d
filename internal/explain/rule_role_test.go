package explain

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestRuleForImmutableRole checks that advice never asks for a change to a trust policy that only AWS
// can change.
func TestRuleForImmutableRole(t *testing.T) {
	for _, role := range []string{
		"arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS",
		"arn:aws-cn:iam::111122223333:role/aws-reserved/sso.amazonaws.com/cn-north-1/AWSReservedSSO_Admin_0123456789abcdef",
	} {
		for source, message := range map[string]string{
			"":         "Not authorized to perform sts:AssumeRoleWithWebIdentity",
			testSource: "User: x is not authorized to perform: sts:AssumeRole on resource: " + role + " because no resource-based policy allows the sts:AssumeRole action",
		} {
			a := For(respond("AccessDenied", message, source, func(f *Facts) {
				f.RoleARN = role
				if f.partition() == "aws-cn" {
					f.Region = "cn-north-1"
				}
			}))
			assert.Equal(t, HeadingRoleARN, a.Heading, role)
			assert.Contains(t, a.Text, "create a role of your own")
			assert.NotContains(t, a.Text, "statement", role)
		}
	}
	a := For(respond("AccessDenied", "", "", func(f *Facts) { f.RoleARN = "arn:aws:iam::111122223333:role/service-role/own" }))
	assert.Contains(t, a.Text, "the statement {", "a path like any other")
}

func TestRuleForMFAInRoleChain(t *testing.T) {
	for _, message := range []string{
		"MultiFactorAuthentication failed with invalid MFA one time pass code. ",
		"MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.",
	} {
		a := For(respond("AccessDenied", message, testSource))
		assert.Equal(t, HeadingRoleChain, a.Heading)
		assert.Contains(t, a.Fix, "SerialNumber")
		assert.NotContains(t, a.Text, "identity-based policy")
	}
}

// TestRuleForDisabledRegionNamesAccount checks that the advice names the account in which the region
// is disabled. In a role chain, it can be the caller's.
func TestRuleForDisabledRegionNamesAccount(t *testing.T) {
	const code = "RegionDisabledException"
	next := func(f *Facts) { f.RoleARN = "arn:aws:iam::444455556666:role/next" }
	for _, tt := range []struct {
		facts Facts
		want  string
	}{
		{respond(code, "STS is not activated in this region for account:111122223333. Your account administrator", ""), "the role's account (111122223333)"},
		{respond(code, "", ""), "the role's account (111122223333)"},
		{respond(code, "STS is not activated in this region for account:111122223333.", testSource, next), "the account (111122223333)"},
		{respond(code, "STS is not activated in this region for account:444455556666.", testSource, next), "the role's account (444455556666)"},
		{respond(code, "", testSource, next), "the account of " + testSource},
	} {
		assert.Contains(t, For(tt.facts).Text, "for "+tt.want+":")
	}
}

// TestRuleForSessionPolicyNamesSignerOptions checks that the advice is correct for every role in a
// chain. The first role's session policy is in Options, and those of later roles are in the options
// of AssumeRole.
func TestRuleForSessionPolicyNamesSignerOptions(t *testing.T) {
	for _, ending := range []string{"because no session policy allows the sts:AssumeRole action", "with an explicit deny in a session policy"} {
		a := For(respond("AccessDenied", "User: x is not authorized to perform: sts:AssumeRole on resource: y "+ending, testSource))
		assert.Contains(t, a.Text, "the session policy of "+testSource+" (the options Policy and PolicyARNs of that role)")
		assert.NotContains(t, a.Text, "Options.")
	}
}
