package irsa_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
)

// adviceOn returns the text and the advice of an error.
func adviceOn(t *testing.T, err error) string {
	t.Helper()
	var failure *irsa.Error
	require.ErrorAs(t, err, &failure)
	assert.LessOrEqual(t, len(err.Error()), 300)
	return err.Error() + "\n" + failure.Advice
}

// podOnly contains parts of advice that help only if the webhook sets the role and the token.
var podOnly = []string{"annotation", "recreate the pod", "AWS_ROLE_SESSION_NAME", "remove AWS_"}

func assertNoPodAdvice(t *testing.T, advice string) {
	t.Helper()
	for _, text := range podOnly {
		assert.NotContains(t, advice, text)
	}
}

// TestErrorAdviceForChainNamesItsOptions checks that advice about an invalid option of a role chain
// does not refer to the settings of the first role.
func TestErrorAdviceForChainNamesItsOptions(t *testing.T) {
	_, pod := newPod(t)
	p := newProvider(t, pod.Options)
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) { pod.Options(&o.Options) })
	require.NoError(t, err)
	defer func() { assert.NoError(t, pool.Close()) }()
	const next = "arn:aws:iam::111122223333:role/next"
	long := strings.Repeat("x", 3000)
	for _, tt := range []struct {
		name, role string
		set        func(*stscreds.AssumeRoleOptions)
		chained    irsa.ChainedRole
		want       string
	}{
		{"role's name", "next", nil, irsa.ChainedRole{}, "correct the role ARN that the program sets"},
		{"user", "arn:aws:iam::111122223333:user/next", nil, irsa.ChainedRole{}, "correct the role ARN that the program sets"},
		{"session name", next, func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = "a b" }, irsa.ChainedRole{SessionName: "a b"}, "AssumeRoleOptions.RoleSessionName"},
		{"two hours", next, func(o *stscreds.AssumeRoleOptions) { o.Duration = 2 * time.Hour }, irsa.ChainedRole{Duration: 2 * time.Hour}, "from 15m to 1h"},
		{"one minute", next, func(o *stscreds.AssumeRoleOptions) { o.Duration = time.Minute }, irsa.ChainedRole{Duration: time.Minute}, "from 15m to 1h"},
		{"policy", next, func(o *stscreds.AssumeRoleOptions) { o.Policy = aws.String(long) }, irsa.ChainedRole{Policy: long}, "AssumeRoleOptions.Policy"},
		{"policy ARN", next, func(o *stscreds.AssumeRoleOptions) {
			o.PolicyARNs = []ststypes.PolicyDescriptorType{{Arn: aws.String("x")}}
		}, irsa.ChainedRole{PolicyARNs: []string{"x"}}, "AssumeRoleOptions.PolicyARNs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.set == nil {
				tt.set = func(*stscreds.AssumeRoleOptions) {}
			}
			_, err := p.AssumeRole(tt.role, tt.set)
			tt.chained.RoleARN = tt.role
			_, pooled := pool.Provider(irsa.RoleOptions{Chain: []irsa.ChainedRole{tt.chained}})
			for _, err := range []error{err, pooled} {
				advice := adviceOn(t, err)
				assert.Contains(t, advice, tt.want)
				assert.NotContains(t, advice, " Options.", "an option of the first role")
				assertNoPodAdvice(t, advice)
			}
		})
	}
}
