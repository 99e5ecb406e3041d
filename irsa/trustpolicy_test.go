package irsa_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// trustPolicyCheck returns the check of the document after an exchange that passes or fails.
func trustPolicyCheck(t *testing.T, exchange string, document func(trust, issuer string) string) irsa.Check {
	t.Helper()
	k, pod := newPod(t)
	trust := k.Role("s3-writer", irsatest.Trust(k.ServiceAccount("shop", "cart"))).TrustPolicy()
	if exchange == "failed" {
		k.Role("s3-writer")
	}
	report := irsa.Diagnose(t.Context(), pod.Options)
	require.Equal(t, exchange, statusOf(report, "exchange"), report)
	report.CheckTrustPolicy([]byte(document(trust, strings.TrimPrefix(k.Issuer.URL(), "https://"))))
	for _, c := range report.Checks {
		if c.Name == "trust-policy" {
			return c
		}
	}
	require.Fail(t, "no check of the trust policy")
	return irsa.Check{}
}

func TestReportCheckTrustPolicy(t *testing.T) {
	const passed, failed, warned = "passed", "failed", "warned"
	replace := func(old, with string) func(trust, issuer string) string {
		return func(trust, issuer string) string {
			fit := strings.NewReplacer("ISSUER", issuer)
			return strings.Replace(trust, fit.Replace(old), fit.Replace(with), 1)
		}
	}
	const cart, equals = `"system:serviceaccount:shop:cart"`, `"StringEquals": {`
	for _, tt := range []struct {
		name     string
		document func(trust, issuer string) string
		exchange string
		want     string
		detail   string // ISSUER stands for the issuer
		cure     string
	}{
		{"a strict policy", replace("", ""), passed, passed, "allowed by statement 1", ""},
		{"a strict policy, and the exchange failed", replace("", ""), failed, warned, "allowed by statement 1, but the exchange failed", "compare it with the one in IAM"},
		{"another service account", replace(cart, `"system:serviceaccount:shop:search"`), failed, failed, "(another service account)", "change the trust policy to allow this service account, or run the pod with the service account that it allows"},
		{"another service account, and the exchange passed", replace(cart, `"system:serviceaccount:shop:search"`), passed, warned,
			"(another service account), but the exchange passed", "compare it with the one in IAM"},
		{"no policy", replace(`"Effect"`, `"Efect"`), failed, failed, "IAM would reject this trust policy", "aws iam get-role"},
		{"no policy, and the exchange passed", replace(`"Effect"`, `"Efect"`), passed, warned, "IAM would reject this trust policy", "compare it with the one in IAM"},
		{"a deleted role in a Deny", replace(`"Statement": [`, `"Statement": [{"Effect": "Deny", "Principal": {"AWS": "AROADBQP57FF2AEXAMPLE"}, "Action": "sts:AssumeRole"},`), passed, passed, "allowed by statement 2", ""},
		{"unsupported principal", replace(`"Statement": [`, `"Statement": [{"Effect": "Deny", "Principal": {"CanonicalUser": "79a59df900b949e5"}, "Action": "sts:AssumeRole"},`), failed, warned,
			"the policy cannot be evaluated: statement 1, Principal: CanonicalUser: it is not supported", "check it manually"},
		{"the output of get-role", func(trust, _ string) string {
			return `{"Role": {"RoleName": "s3-writer", "AssumeRolePolicyDocument": ` + trust + `}}`
		}, passed, passed, "allowed by statement 1", ""},
		{"an IP address", replace(equals, `"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, `+equals), passed, warned,
			`Allow in statement 1 cannot be evaluated: IpAddress on "aws:SourceIp" (its value is known only to AWS)`, "check manually what could not be evaluated"},
		{"an IP address, and the exchange failed", replace(equals, `"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, `+equals), failed, warned, "cannot be evaluated", "check manually what could not be evaluated"},
		{"a date", replace(equals, `"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}, `+equals), passed, warned, `DateLessThan on "aws:CurrentTime"`, "check manually what could not be evaluated"},
		{"an unknown operator", replace(equals, `"StringMatches": {"aws:SourceVpc": "vpc-1"}, `+equals), passed, warned, `StringMatches on "aws:SourceVpc"`, "check manually what could not be evaluated"},
		{"every subject", func(trust, _ string) string {
			return strings.NewReplacer(cart, `"*"`, "StringEquals", "StringLike").Replace(trust)
		}, passed, warned, "statement 1 is too broad: it also allows every token of ISSUER", `in statement 1, require StringEquals on "ISSUER:sub" to be ` + cart},
		{"every service account of the namespace", func(trust, _ string) string {
			return strings.NewReplacer(cart, `"system:serviceaccount:shop:*"`, "StringEquals", "StringLike").Replace(trust)
		}, passed, passed, "allowed by statement 1; statement 1 also allows every service account of the namespace shop", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			issuer := ""
			c := trustPolicyCheck(t, tt.exchange, func(trust, i string) string {
				issuer = i
				return tt.document(trust, i)
			})
			assert.Equal(t, tt.want, c.Status, c.Detail)
			assert.Contains(t, c.Detail, strings.ReplaceAll(tt.detail, "ISSUER", issuer))
			assert.Contains(t, c.Advice, strings.ReplaceAll(tt.cure, "ISSUER", issuer))
			assert.Equal(t, c.Status == warned || c.Status == failed, c.Link != "")
		})
	}
}

func TestCheckTrustPolicyReadsTagsOfToken(t *testing.T) {
	k, pod := newPod(t)
	plain := k.Role("s3-writer", irsatest.Trust(k.ServiceAccount("shop", "cart"))).TrustPolicy()
	tagged := strings.NewReplacer(`"StringEquals": {`, `"StringEquals": {"aws:RequestTag/team": "blue",`,
		`"sts:AssumeRoleWithWebIdentity"`, `["sts:AssumeRoleWithWebIdentity","sts:TagSession"]`).Replace(plain)
	for _, claim := range []func(*irsatest.TokenOptions){
		irsatest.Claim("https://aws.amazon.com/tags", map[string]any{"principal_tags": map[string]any{"team": []string{"blue"}}}),
		irsatest.Claim("https://aws.amazon.com/tags/principal_tags/team", "blue"),
	} {
		pod.Rotate(claim)
		for policy, want := range map[string]string{tagged: "passed", plain: "failed"} {
			k.Role("s3-writer", irsatest.TrustPolicy(policy))
			report := irsa.Diagnose(t.Context(), pod.Options)
			report.CheckTrustPolicy([]byte(policy))
			assert.Equal(t, want, statusOf(report, "exchange"), report)
			assert.Equal(t, want, statusOf(report, "trust-policy"), report)
		}
	}
}
