package explain

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestIssuerRegion(t *testing.T) {
	for issuer, region := range map[string]string{
		"https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E":                      "us-west-2",
		"https://oidc.eks.cn-north-1.amazonaws.com.cn/id/EXAMPLED539D4633E53DE1B716D3041E":                  "cn-north-1",
		"https://oidc.eks.us-gov-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E":                  "us-gov-west-1",
		"https://oidc-eks.us-west-2.api.aws/id/EXAMPLED539D4633E53DE1B716D3041E":                            "us-west-2",
		"https://oidc.eks.eusc-de-east-1.amazonaws.eu/id/EXAMPLED539D4633E53DE1B716D3041E":                  "eusc-de-east-1",
		"https://oidc.eks.us-iso-east-1.c2s.ic.gov/id/EXAMPLED539D4633E53DE1B716D3041E":                     "us-iso-east-1",
		"https://oidc.eks.us-isob-east-1.sc2s.sgov.gov/id/EXAMPLED539D4633E53DE1B716D3041E":                 "us-isob-east-1",
		"https://oidc.eks.eu-isoe-west-1.cloud.adc-e.uk/id/EXAMPLED539D4633E53DE1B716D3041E":                "eu-isoe-west-1",
		"https://oidc.eks.us-isof-south-1.csp.hci.ic.gov/id/EXAMPLED539D4633E53DE1B716D3041E":               "us-isof-south-1",
		"https://oidc-eks.eusc-de-east-1.api.amazonwebservices.eu/id/EXAMPLED539D4633E53DE1B716D3041E":      "eusc-de-east-1",
		"https://oidc.eks.eusc-de-east-1.amazonaws.eu.evil.example/id/EXAMPLED539D4633E53DE1B716D3041E":     "",
		"https://oidc.eks.us-west-2.amazonaws.com.evil.example/id/EXAMPLED539D4633E53DE1B716D3041E":         "",
		"http://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E":                       "",
		"https://evil.example/https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E": "",
		"https://oidc.eks.--all.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E":                          "",
		"https://s3.us-west-2.amazonaws.com/my-cluster-oidc":                                                "",
		"": "",
	} {
		assert.Equal(t, region, IssuerRegion(issuer), issuer)
	}
}

func TestSettingForTokenOfAPIServerNamesBothVariables(t *testing.T) {
	a := Setting(HeadingAudience, Facts{Kind: ErrNotConfigured, RoleARN: "arn:aws-cn:iam::111122223333:role/r"})
	assert.Contains(t, a.Text, "AWS_WEB_IDENTITY_TOKEN_FILE="+webhookFile+", ")
	assert.Contains(t, a.Text, "AWS_REGION=cn-north-1")
}

func TestSettingShowsRoleARNOfRegionsPartition(t *testing.T) {
	for region, partition := range map[string]string{"": "aws", "eu-central-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov"} {
		for _, own := range []bool{false, true} {
			a := Setting(HeadingRoleARN, Facts{Kind: ErrNotConfigured, RoleARN: "s3-writer", Region: region, OwnRole: own})
			assert.Contains(t, a.Text, "arn:"+partition+":iam::111122223333:role/name", region)
		}
	}
}
