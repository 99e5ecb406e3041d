package irsa_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

// TestErrorAdviceForProgramSettings checks that advice about a role or token source set by the program
// does not ask for a change to the pod, which would break it.
func TestErrorAdviceForProgramSettings(t *testing.T) {
	_, pod := newPod(t)
	for _, name := range []string{"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	function := irsa.TokenFunc("function", func(context.Context) (tokenfile.Token, error) { return tokenfile.Read(pod.TokenFile()) })
	newIn := func(set func(*irsa.Options)) error {
		_, err := irsa.New(func(o *irsa.Options) { o.Region = "us-west-2" }, set)
		return err
	}
	inPool := func(set func(*irsa.Options), role irsa.RoleOptions) error {
		pool, err := irsa.NewPool(func(o *irsa.PoolOptions) { o.Region = "us-west-2"; set(&o.Options) })
		require.NoError(t, err)
		defer func() { assert.NoError(t, pool.Close()) }()
		_, err = pool.Provider(role)
		return err
	}
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"token function only", newIn(func(o *irsa.Options) { o.Token = function }), "set Options.RoleARN"},
		{"token file only", newIn(func(o *irsa.Options) { o.TokenFile = pod.TokenFile() }), "set Options.RoleARN"},
		{"invalid role", newIn(func(o *irsa.Options) { o.RoleARN, o.Token = "x", function }), "correct the role ARN that the program sets"},
		{"Pool without a role", inPool(func(o *irsa.Options) { o.Token = function }, irsa.RoleOptions{}), "RoleOptions.RoleARN"},
		{"Pool with an invalid role", inPool(func(o *irsa.Options) { o.Token = function }, irsa.RoleOptions{RoleARN: "x"}), "correct the role ARN that the program sets"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			advice := adviceOn(t, tt.err)
			assert.Contains(t, advice, tt.want)
			assertNoPodAdvice(t, advice)
		})
	}
	advice := adviceOn(t, newIn(func(o *irsa.Options) { o.RoleARN = pod.RoleARN() }))
	assert.Contains(t, advice, "Options.TokenFile")
	assert.NotContains(t, advice, "remove AWS_ROLE_ARN", "it is not set")

	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", pod.TokenFile()) // other roles of the Pool use it
	assertNoPodAdvice(t, adviceOn(t, inPool(func(*irsa.Options) {}, irsa.RoleOptions{})))
}

// TestErrorAdviceForProgramRole checks that advice about a role set by the program does not mention
// the service account's annotation.
func TestErrorAdviceForProgramRole(t *testing.T) {
	k, pod := newPod(t)
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) { pod.Options(&o.Options); o.RoleARN = "" })
	require.NoError(t, err)
	defer func() { assert.NoError(t, pool.Close()) }()
	for _, tt := range []struct{ name, role, want string }{
		{"denied", k.Role("other").ARN(), "correct it where the program sets it"},
		{"other partition", "arn:aws-cn:iam::111122223333:role/other", "Correct the role ARN that the program sets to arn:aws:iam::111122223333:role/other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pooled, err := pool.Provider(irsa.RoleOptions{RoleARN: tt.role})
			require.NoError(t, err)
			own := newProvider(t, pod.Options, func(o *irsa.Options) { o.RoleARN = tt.role })
			for _, p := range []*irsa.Provider{pooled, own} {
				_, err = p.Retrieve(t.Context())
				advice := adviceOn(t, err)
				assert.Contains(t, advice, tt.want)
				assertNoPodAdvice(t, advice)
			}
		})
	}
	for _, c := range irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) { o.RoleARN, o.TokenFile = "arn:aws-cn:iam::111122223333:role/other", "/none" }).Checks {
		if c.Name == "role" {
			assert.Contains(t, c.Advice, "Correct the role ARN that the program sets")
		}
	}

	k.STS.Fail(irsatest.AccessDenied, 1)
	t.Setenv("AWS_ROLE_ARN", pod.RoleARN())
	_, err = newProvider(t, pod.Options, func(o *irsa.Options) { o.RoleARN = "" }).Retrieve(t.Context())
	assert.Contains(t, adviceOn(t, err), "correct the annotation eks.amazonaws.com/role-arn")
}

// TestErrorAdviceNamesSettingOfRegion checks that advice about a region set by the program does not
// suggest AWS_REGION, which then has no effect.
func TestErrorAdviceNamesSettingOfRegion(t *testing.T) {
	synctest.Test(t, testErrorAdviceNamesSettingOfRegion)
}

func testErrorAdviceNamesSettingOfRegion(t *testing.T) {
	_, pod := newPod(t)
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) { pod.Options(&o.Options) })
	require.NoError(t, err)
	defer func() { assert.NoError(t, pool.Close()) }()
	inPool := func(region string) error {
		p, err := pool.Provider(irsa.RoleOptions{RoleARN: pod.RoleARN(), Region: region})
		if err == nil {
			_, err = p.Retrieve(t.Context())
		}
		return err
	}
	inOptions := func(region string, more ...func(*irsa.Options)) error {
		p, err := irsa.New(append([]func(*irsa.Options){pod.Options, func(o *irsa.Options) { o.Region, o.Endpoint, o.HTTPClient = region, "", unknownHost() }}, more...)...)
		if err != nil {
			return err
		}
		defer func() { assert.NoError(t, p.Close()) }()
		_, err = p.Retrieve(t.Context())
		return err
	}
	t.Setenv("AWS_ENDPOINT_URL_STS", "")
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"zone in a Pool", inPool("us-west-2a"), "RoleOptions.Region=us-west-2"},
		{"other partition in a Pool", inPool("cn-north-1"), "RoleOptions.Region=us-west-2"},
		{"zone", inOptions("us-west-2a"), "Options.Region=us-west-2"},
		{"other partition", inOptions("cn-north-1"), "Options.Region=us-west-2"},
		{"misspelled", inOptions("us-west-9"), "Options.Region=us-west-2"},
	} {
		advice := adviceOn(t, tt.err)
		assert.Contains(t, advice, tt.want, tt.name)
		assert.NotContains(t, advice, "AWS_REGION", tt.name)
	}
	t.Setenv("AWS_REGION", "cn-north-1")
	assert.Contains(t, adviceOn(t, inOptions("")), "AWS_REGION=us-west-2")
}
