package irsa_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestReportChecksTrustPolicyWithoutExchange(t *testing.T) {
	k, pod := newPod(t)
	policy := k.Role("s3-writer", irsatest.Trust(k.ServiceAccount("shop", "cart"))).TrustPolicy()
	k.STS.Down()
	report := irsa.Diagnose(t.Context(), pod.Options)
	report.CheckTrustPolicy([]byte(strings.Replace(policy, "shop:cart", "shop:search", 1)))
	assert.Equal(t, "failed", statusOf(report, "trust-policy"))

	report = irsa.Diagnose(t.Context()) // nothing is set
	report.CheckTrustPolicy([]byte(policy))
	assert.Equal(t, "skipped", statusOf(report, "trust-policy"))
	report = &irsa.Report{}
	report.CheckTrustPolicy([]byte("no JSON"))
	assert.Equal(t, "failed", statusOf(report, "trust-policy"))
}

func TestReportPrintsOneLinePerFact(t *testing.T) {
	_, pod := newPod(t)
	pod.Rotate(irsatest.Claim("sub", "a\nFAILED\x1b[31m"))
	report := irsa.Diagnose(t.Context(), pod.Options)
	report.CheckTrustPolicy([]byte("{\"Version\": \"\n\"}"))
	for _, c := range report.Checks {
		assert.NotRegexp(t, `[[:cntrl:]]`, c.Name+c.Detail+c.Advice+c.Link)
	}
}

func TestReportTrustPolicyUsesSessionNameAndAllAudiences(t *testing.T) {
	k, pod := newPod(t)
	issuer := k.Issuer.URL()[len("https://"):]
	evaluate := func(policy string) string {
		report := irsa.Diagnose(t.Context(), pod.Options)
		report.CheckTrustPolicy([]byte(policy))
		return statusOf(report, "trust-policy")
	}
	trust := k.Role("s3-writer", irsatest.Trust(k.ServiceAccount("shop", "cart"))).TrustPolicy()
	named := func(name string) string {
		return strings.Replace(trust, `"StringEquals": {`, `"StringLike": {"sts:RoleSessionName": "`+name+`"}, "StringEquals": {`, 1)
	}
	assert.Equal(t, "passed", evaluate(named("shop.cart.*")))
	assert.Equal(t, "warned", evaluate(named("shop.search.*")), "the exchange passes")

	// The statement in the error for a token with several audiences allows that token.
	k.Role("s3-writer")
	pod.Rotate(irsatest.Claim("aud", []string{"vault", "sts.amazonaws.com"}))
	_, err := newProvider(t, pod.Options).Retrieve(t.Context())
	var failure *irsa.Error
	require.ErrorAs(t, err, &failure)
	_, statement, _ := strings.Cut(failure.Advice, "needs the statement ")
	assert.Equal(t, "warned", evaluate(`{"Version": "2012-10-17", "Statement": `+statement+`}`), "allowed, but not the policy of the role")
	role := k.Role("s3-writer", irsatest.TrustPolicy(`{"Version": "2012-10-17", "Statement": `+statement+`}`))
	retrieve(t, newProvider(t, pod.Options))
	assert.Contains(t, role.TrustPolicy(), issuer)
}
