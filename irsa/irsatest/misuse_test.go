package irsatest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestStartPanicsOnMisuse(t *testing.T) {
	w := onLoopback(t)
	assert.PanicsWithError(t, `irsatest: "Flood" is not a Fault of this package`, func() { w.STS.Fail("Flood", 1) })
	assert.PanicsWithError(t, "irsatest: Setenv needs a Cluster made by New: use Environ", w.pod.Setenv)
	assert.PanicsWithError(t, `irsatest: "Shop" is not a valid name of a namespace`, func() { w.ServiceAccount("Shop", "cart") })
	assert.PanicsWithError(t, `irsatest: "a:b" is not a valid name of a service account`, func() { w.ServiceAccount("shop", "a:b") })
	assert.PanicsWithError(t, `irsatest: "a b" is not a valid name of an IAM role`, func() { w.Role("a b") })
	assert.PanicsWithError(t, `irsatest: role arn:aws:iam::111122223333:role/team/S3-Writer: the account has `+w.role.ARN()+`, and names must differ by more than path and case`, func() { w.Role("team/S3-Writer") })
	assert.NotPanics(t, func() { w.Role("S3-Writer", irsatest.InAccount("444455556666")) })
	assert.PanicsWithError(t, `irsatest: "1" is not an AWS account ID: it has twelve digits`, func() { w.Role("a", irsatest.InAccount("1")) })
	assert.PanicsWithError(t, `irsatest: "1" is not an AWS account ID: it has twelve digits`, func() { w.RegisterIssuer("1", w.Issuer) })
	assert.PanicsWithError(t, "irsatest: role a: the maximum session duration is 1 to 12 hours, not 15m0s", func() { w.Role("a", irsatest.MaxSessionDuration(15*time.Minute)) })
	assert.PanicsWithError(t, "irsatest: role arn:aws:iam::111122223333:role/a: trustpolicy: it is not JSON: unexpected end of JSON input", func() { w.Role("a", irsatest.TrustPolicy("")) })
	for _, key := range []string{"aws:PrincipalOrgID", "aws:SourceIp", "sts:Duration", "AWS:sourcevpc"} {
		policy := strings.Replace(w.role.TrustPolicy(), `"StringEquals": {`, `"StringEquals": {"`+key+`": "a",`, 1)
		assert.PanicsWithError(t, `irsatest: role `+w.role.ARN()+`: unsupported condition key "`+key+`": see TrustPolicy`, func() { w.role.SetTrustPolicy(policy) })
	}
	assert.PanicsWithError(t, "irsatest: role a: set either Trust or TrustPolicy, not both", func() { w.Role("a", irsatest.Trust(w.sa), irsatest.TrustPolicy(w.role.TrustPolicy())) })
	assert.PanicsWithError(t, "irsatest: an OIDC provider has 100 client IDs at most, not 101", func() { w.RegisterIssuer("111122223333", w.Issuer, make([]string, 101)...) })
	assert.PanicsWithError(t, `irsatest: unsupported algorithm "HS256": use RS256 or ES256`, func() { w.Issuer.SetAlgorithm("HS256") })
	assert.PanicsWithError(t, `irsatest: "forged" is not a defect of tokens: see Invalid`, func() { w.pod.Rotate(irsatest.Invalid("forged")) })
	assert.PanicsWithError(t, "irsatest: token lifetime -1s is not positive: for an expired token, use Rotate with Invalid(\"expired\")", func() {
		w.Pod(w.sa, w.role, func(o *irsatest.PodOptions) { o.TokenLifetime = -time.Second })
	})
	for name, document := range map[string]string{
		"a misspelled operator":     strings.Replace(w.role.TrustPolicy(), "StringEquals", "StringEqual", 1),
		"an unknown operator":       strings.Replace(w.role.TrustPolicy(), "StringEquals", "StringMatches", 1),
		"a policy that is not JSON": "{",
		"a policy with a Resource":  strings.Replace(w.role.TrustPolicy(), `"Effect"`, `"Resource": "*", "Effect"`, 1),
	} {
		assert.Panics(t, func() { w.role.SetTrustPolicy(document) }, name)
		assert.Panics(t, func() { w.Role("a", irsatest.TrustPolicy(document)) }, name)
	}
	assert.NotEmpty(t, w.role.TrustPolicy(), "the policy is unchanged")
}

func TestClusterMisusePanicsWithNilAndOtherClusters(t *testing.T) {
	w, other := onLoopback(t), onLoopback(t)
	for _, tt := range []struct {
		argument string
		misuse   func()
	}{
		{"*irsatest.ServiceAccount", func() { w.Pod(nil, w.role) }},
		{"*irsatest.ServiceAccount", func() { w.Pod(other.sa, w.role) }},
		{"*irsatest.ServiceAccount", func() { w.Role("a", irsatest.Trust(w.sa, other.sa)) }},
		{"*irsatest.Role", func() { w.Pod(w.sa, nil) }},
		{"*irsatest.Role", func() { w.Pod(w.sa, other.role) }},
		{"*irsatest.Role", func() { w.Role("a", irsatest.Trust(other.role)) }},
		{"*irsatest.Issuer", func() { w.RegisterIssuer("111122223333", nil) }},
		{"*irsatest.Issuer", func() { w.UnregisterIssuer("111122223333", other.Issuer) }},
		{"<nil>", func() { w.Role("a", irsatest.Trust(nil)) }},
	} {
		assert.PanicsWithError(t, "irsatest: the "+tt.argument+" is nil, or belongs to another Cluster", tt.misuse)
	}
}

func TestNewFailsTestOnMisuse(t *testing.T) {
	fake := &fatalTB{TB: t}
	k := irsatest.New(fake)
	assert.PanicsWithValue(t, fake, func() { k.STS.Fail("Flood", 1) })
	require.ErrorContains(t, errors.New(fake.message), `irsatest: "Flood" is not a Fault of this package`)
	assert.PanicsWithValue(t, fake, func() {
		irsatest.New(fake, func(o *irsatest.Options) { o.Region = "nowhere" })
	})
}

// TestReasonNamesClusterOutsideBubble uses a Cluster in a bubble although it was created outside. The
// bubble's clock is years behind.
func TestReasonNamesClusterOutsideBubble(t *testing.T) {
	w := inMemory(t)
	synctest.Test(t, func(t *testing.T) {
		_, err := w.assume(t.Context())
		require.ErrorContains(t, err, "The token is not yet valid")
	})
	assert.Contains(t, w.STS.Calls()[0].Reason, "create the Cluster inside the synctest bubble")

	w.pod.Rotate(irsatest.Invalid("not yet valid"))
	_, err := w.assume(t.Context())
	require.ErrorContains(t, err, "The token is not yet valid")
	assert.NotContains(t, w.STS.Calls()[1].Reason, "synctest")
}

// fatalTB is a testing.TB that records the message of Fatal and panics.
type fatalTB struct {
	testing.TB
	message string
}

func (f *fatalTB) Fatal(args ...any) {
	f.message = fmt.Sprint(args...)
	panic(f)
}
