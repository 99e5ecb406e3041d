package irsa_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/tokenfile"
)

const roleARN = "arn:aws:iam::111122223333:role/s3-writer"

// valid is a configuration that New accepts.
func valid(o *irsa.Options) {
	o.RoleARN = roleARN
	o.TokenFile = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"
	o.Region = "us-west-2"
}

func TestNewRejectsInvalidOptions(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
		set  func(*irsa.Options)
		want []string
	}{
		{name: "nothing is set", set: func(o *irsa.Options) { *o = irsa.Options{} },
			want: []string{"AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE are not set", "eks.amazonaws.com/role-arn", "recreate the pod", "#not-injected"}},
		{name: "only the role is set", env: map[string]string{"AWS_ROLE_ARN": roleARN}, set: func(o *irsa.Options) { *o = irsa.Options{} },
			want: []string{"neither AWS_WEB_IDENTITY_TOKEN_FILE nor Options.TokenFile is set", "remove AWS_ROLE_ARN from the container", "#half-injected"}},
		{name: "only the token file is set", env: map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "/token", "AWS_REGION": "us-west-2"}, set: func(o *irsa.Options) { *o = irsa.Options{} },
			want: []string{"neither AWS_ROLE_ARN nor Options.RoleARN is set", "remove AWS_WEB_IDENTITY_TOKEN_FILE from the container", "#half-injected"}},
		{name: "both are empty", env: map[string]string{"AWS_ROLE_ARN": "", "AWS_WEB_IDENTITY_TOKEN_FILE": " "}, set: func(o *irsa.Options) { *o = irsa.Options{} },
			want: []string{"AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE are not set"}},
		{name: "Pod Identity instead", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"}, set: func(o *irsa.Options) { *o = irsa.Options{} },
			want: []string{"this pod has EKS Pod Identity instead of IRSA", "#pod-identity"}},
		{name: "a relative token path", set: func(o *irsa.Options) { o.TokenFile = "serviceaccount/token" },
			want: []string{`"serviceaccount/token" is not an absolute path`}},
		{name: "a token source and a token file", set: func(o *irsa.Options) { o.Token = tokens("x") },
			want: []string{"both Options.Token and Options.TokenFile are set"}},
		{name: "a role's name alone", set: func(o *irsa.Options) { o.RoleARN = "s3-writer" }, want: []string{`"s3-writer" is not the ARN of an IAM role`}},
		{name: "a user's ARN", set: func(o *irsa.Options) { o.RoleARN = "arn:aws:iam::111122223333:user/s3-writer" }, want: []string{"is not the ARN of an IAM role"}},
		{name: "a session's ARN", set: func(o *irsa.Options) { o.RoleARN = "arn:aws:sts::111122223333:assumed-role/s3-writer/me" }, want: []string{"is not the ARN of an IAM role"}},
		{name: "a role without a name", set: func(o *irsa.Options) { o.RoleARN = "arn:aws:iam::111122223333:role/" }, want: []string{"is not the ARN of an IAM role"}},
		{name: "a role ARN with a field too few", set: func(o *irsa.Options) { o.RoleARN = "arn:aws:iam:111122223333:role/s3-writer" }, want: []string{"is not the ARN of an IAM role"}},
		{name: "an account ID of 11 digits", set: func(o *irsa.Options) { o.RoleARN = "arn:aws:iam::11112222333:role/s3-writer" }, want: []string{"no account ID of 12 digits"}},
		{name: "a role ARN with a space", set: func(o *irsa.Options) { o.RoleARN = roleARN + " x" }, want: []string{"characters that no ARN has"}},
		{name: "a role ARN that is too long", set: func(o *irsa.Options) { o.RoleARN = roleARN + strings.Repeat("x", 2048) }, want: []string{"STS takes 20 to 2048"}},
		{name: "a negative duration", set: func(o *irsa.Options) { o.Duration = -time.Hour }, want: []string{"the duration -1h0m0s is not between 15m0s and 12h0m0s"}},
		{name: "899 seconds", set: func(o *irsa.Options) { o.Duration = 899 * time.Second }, want: []string{"the duration 14m59s is not between"}},
		{name: "43201 seconds", set: func(o *irsa.Options) { o.Duration = 43201 * time.Second }, want: []string{"the duration 12h0m1s is not between"}},
		{name: "a fraction of a second", set: func(o *irsa.Options) { o.Duration = time.Hour + time.Millisecond }, want: []string{"whole seconds"}},
		{name: "a session name with a slash", set: func(o *irsa.Options) { o.SessionName = "shop/cart" }, want: []string{`the session name "shop/cart"`}},
		{name: "a session name with a colon", set: func(o *irsa.Options) { o.SessionName = "shop:cart" }, want: []string{`the session name "shop:cart"`}},
		{name: "a session name of 1 character", set: func(o *irsa.Options) { o.SessionName = "x" }, want: []string{"2 to 64 characters"}},
		{name: "a session name of 65 characters", set: func(o *irsa.Options) { o.SessionName = strings.Repeat("x", 65) }, want: []string{"2 to 64 characters"}},
		{name: "a session name from the environment", env: map[string]string{"AWS_ROLE_SESSION_NAME": "a b"}, want: []string{`the session name "a b"`}},
		{name: "a policy that is too long", set: func(o *irsa.Options) { o.Policy = strings.Repeat("x", 2049) }, want: []string{"2049 characters together"}},
		{name: "eleven policy ARNs", set: func(o *irsa.Options) {
			o.PolicyARNs = strings.Split(strings.Repeat("arn:aws:iam::aws:policy/ReadOnlyAccess,", 10)+"arn:aws:iam::aws:policy/x", ",")
		}, want: []string{"there are more than 10 policy ARNs"}},
		{name: "a policy's name", set: func(o *irsa.Options) { o.PolicyARNs = []string{"ReadOnlyAccess"} }, want: []string{`"ReadOnlyAccess" is not the ARN of a managed policy`}},
		{name: "an endpoint without a scheme", set: func(o *irsa.Options) { o.Endpoint = "sts.us-west-2.amazonaws.com" }, want: []string{"is not the URL of a server"}},
		{name: "an endpoint together with FIPS", env: map[string]string{"AWS_USE_FIPS_ENDPOINT": "true"}, set: func(o *irsa.Options) { o.Endpoint = "https://localhost" }, want: []string{"AWS_USE_FIPS_ENDPOINT"}},
		{name: "FIPS neither true nor false", env: map[string]string{"AWS_USE_FIPS_ENDPOINT": "maybe"}, want: []string{`AWS_USE_FIPS_ENDPOINT is "maybe"`}},
		{name: "a region that is a host name", set: func(o *irsa.Options) { o.Region = "evil.example/" }, want: []string{`"evil.example/" is not the name of a region`}},
		{name: "a CA bundle that is missing", env: map[string]string{"AWS_CA_BUNDLE": "/no/such/bundle.pem"}, want: []string{"AWS_CA_BUNDLE", "no such file"}},
		{name: "a CA bundle that is none", env: map[string]string{"AWS_CA_BUNDLE": "options_test.go"}, want: []string{"holds no certificate"}},
		{name: "several faults at once", set: func(o *irsa.Options) { o.RoleARN, o.TokenFile, o.Duration, o.SessionName = "x", "y", 1, "z" },
			want: []string{`"x" is not`, `"y" is not`, "the duration 1ns", `the session name "z"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			set := tt.set
			if set == nil {
				set = func(*irsa.Options) {}
			}
			p, err := irsa.New(valid, set)
			require.Nil(t, p)
			require.ErrorIs(t, err, irsa.ErrNotConfigured)
			for _, want := range tt.want {
				assert.ErrorContains(t, err, want)
			}
			assert.NotContains(t, err.Error(), "\n", "an error is one line")
		})
	}
}

func TestNewAcceptsRolesOfEveryPartition(t *testing.T) {
	for _, role := range []string{
		roleARN,
		"arn:aws:iam::111122223333:role/team/path/s3-writer",
		"arn:aws-cn:iam::111122223333:role/s3-writer",
		"arn:aws-us-gov:iam::111122223333:role/s3-writer",
		"arn:aws-iso-b:iam::111122223333:role/s3-writer",
		"arn:aws-eusc:iam::111122223333:role/s3-writer",
		"arn:minio:iam:us-east-1::role/dGhpcyBpcyBhIGhhc2g",
	} {
		newProvider(t, valid, func(o *irsa.Options) { o.RoleARN = role })
	}
}

func TestNewAcceptsLimits(t *testing.T) {
	for _, set := range []func(*irsa.Options){
		func(o *irsa.Options) { o.Duration = 15 * time.Minute },
		func(o *irsa.Options) { o.Duration = 12 * time.Hour },
		func(o *irsa.Options) { o.SessionName = "ab" },
		func(o *irsa.Options) { o.SessionName = strings.Repeat("x", 64) },
		func(o *irsa.Options) { o.SessionName = "Az09_+=,.@-" },
		func(o *irsa.Options) { o.Policy = strings.Repeat("x", 2048) },
	} {
		newProvider(t, valid, set)
	}
}

// tokens is a TokenSource that always returns the same token.
type tokens string

func (tokens) Identity() string { return "shop/cart" }

func (s tokens) Token(context.Context) (tokenfile.Token, error) { return tokenfile.Parse(string(s)) }

// mock is a mocked STS client.
type mock func(*sts.AssumeRoleWithWebIdentityInput) (*sts.AssumeRoleWithWebIdentityOutput, error)

func (m mock) AssumeRoleWithWebIdentity(_ context.Context, in *sts.AssumeRoleWithWebIdentityInput, _ ...func(*sts.Options)) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	return m(in)
}

func session() *sts.AssumeRoleWithWebIdentityOutput {
	return &sts.AssumeRoleWithWebIdentityOutput{
		Credentials: &types.Credentials{
			AccessKeyId:     aws.String("ASIAMOCK"),
			SecretAccessKey: aws.String("secret"),
			SessionToken:    aws.String("session"),
			Expiration:      aws.Time(time.Now().Add(time.Hour)),
		},
		AssumedRoleUser: &types.AssumedRoleUser{Arn: aws.String("arn:aws:sts::111122223333:assumed-role/s3-writer/x")},
	}
}

func TestProviderSendsOptionsToMockedSTS(t *testing.T) {
	_, pod := newPod(t)
	var input *sts.AssumeRoleWithWebIdentityInput
	p := newProvider(t, func(o *irsa.Options) {
		o.RoleARN = roleARN
		o.Token = tokens(pod.Token() + "\r\n")
		o.Duration = 2 * time.Hour
		o.Policy = `{"Version":"2012-10-17"}`
		o.PolicyARNs = []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}
		o.SessionName = "unit-test"
		o.STS = mock(func(in *sts.AssumeRoleWithWebIdentityInput) (*sts.AssumeRoleWithWebIdentityOutput, error) {
			input = in
			return session(), nil
		})
	})
	creds := retrieve(t, p)
	assert.Equal(t, "ASIAMOCK", creds.AccessKeyID)
	assert.Equal(t, "111122223333", creds.AccountID)
	assert.Equal(t, "WebIdentityCredentials", creds.Source)
	assert.True(t, creds.CanExpire)
	assert.Equal(t, []aws.CredentialSource{aws.CredentialSourceSTSAssumeRoleWebID}, p.ProviderSources())
	assert.Equal(t, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(roleARN),
		RoleSessionName:  aws.String("unit-test"),
		WebIdentityToken: aws.String(pod.Token()),
		DurationSeconds:  aws.Int32(7200),
		Policy:           aws.String(`{"Version":"2012-10-17"}`),
		PolicyArns:       []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess")}},
	}, input)
}

func TestProviderSendsTheDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for duration, want := range map[time.Duration]time.Duration{0: time.Hour, 15 * time.Minute: 15 * time.Minute} {
			k, pod := newPod(t)
			retrieve(t, newProvider(t, pod.Options, func(o *irsa.Options) { o.Duration = duration }))
			assert.Equal(t, want, k.STS.Calls()[0].Duration)
		}
	})
}

func TestNewRegionSources(t *testing.T) {
	_, pod := newPod(t) // the issuer is in us-west-2
	for _, tt := range []struct {
		name string
		env  map[string]string
		set  func(*irsa.Options)
		want string
	}{
		{"the option", map[string]string{"AWS_REGION": "eu-west-1"}, func(o *irsa.Options) { o.Region = "ap-south-1" }, "ap-south-1"},
		{"AWS_REGION", map[string]string{"AWS_REGION": " eu-west-1\n", "AWS_DEFAULT_REGION": "eu-west-2"}, func(o *irsa.Options) { o.Region = "" }, "eu-west-1"},
		{"AWS_DEFAULT_REGION", map[string]string{"AWS_DEFAULT_REGION": "eu-west-2"}, func(o *irsa.Options) { o.Region = "" }, "eu-west-2"},
		{"the token's issuer", nil, func(o *irsa.Options) { o.Region = "" }, "us-west-2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			p := newProvider(t, pod.Options, tt.set)
			assert.Equal(t, tt.want, p.AWSConfig().Region)
		})
	}
}

func TestNewFailsWithoutRegion(t *testing.T) {
	_, pod := newPod(t)
	noRegion := func(o *irsa.Options) { o.Region = "" }
	t.Run("unreadable token", func(t *testing.T) {
		_, err := irsa.New(pod.Options, noRegion, func(o *irsa.Options) { o.TokenFile = filepath.Join(t.TempDir(), "none") })
		require.ErrorIs(t, err, irsa.ErrNotConfigured)
		require.ErrorIs(t, err, irsa.ErrTokenFile)
		require.ErrorIs(t, err, os.ErrNotExist)
		assert.ErrorContains(t, err, "set AWS_REGION or Options.Region")
	})
	t.Run("issuer without a region", func(t *testing.T) {
		_, err := irsa.New(pod.Options, noRegion, func(o *irsa.Options) {
			o.TokenFile, o.Token = "", tokens("eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIn0.c2ln")
		})
		require.ErrorIs(t, err, irsa.ErrNotConfigured)
		assert.ErrorContains(t, err, `the token's issuer "https://issuer.example" names none`)
	})
}

func TestRetrieveReportsUnreadableToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod := newPod(t)
		pod.RemoveToken()
		p := newProvider(t, pod.Options)
		_, err := p.Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrTokenFile)
		require.ErrorIs(t, err, os.ErrNotExist)
		var failure *irsa.Error
		require.ErrorAs(t, err, &failure)
		assert.Equal(t, pod.TokenFile(), failure.TokenFile)
		assert.False(t, failure.NextAttempt.IsZero())
	})
}

func TestProviderSessionNameIdentifiesPodAtEveryRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p := newProvider(t, pod.Options)
		retrieve(t, p)
		pod.Rotate()
		require.NoError(t, p.Refresh(t.Context()))
		for _, call := range k.STS.Calls() {
			assert.Equal(t, "shop.cart."+pod.Name(), call.SessionName)
		}
		assert.Equal(t, "shop.cart."+pod.Name(), p.Status().SessionName)
	})
}

func TestNewLogsIgnoredVariables(t *testing.T) {
	t.Setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
	t.Setenv("AWS_ENDPOINT_URL", "http://minio.example")
	var seen recorder
	k, pod := newPod(t)
	p := newProvider(t, pod.Options, seen.options)
	assert.Contains(t, seen.log(), "AWS_STS_REGIONAL_ENDPOINTS=legacy is not followed")
	assert.Contains(t, seen.log(), "AWS_ENDPOINT_URL is not followed")
	retrieve(t, p)
	assert.Equal(t, 1, k.STS.CallCount())
}

func TestNewUsesConfiguredEndpointUnlessIgnored(t *testing.T) {
	_, pod := newPod(t)
	t.Setenv("AWS_ENDPOINT_URL_STS", "https://elsewhere.invalid")
	p := newProvider(t, pod.Options)
	require.ErrorContains(t, p.Refresh(t.Context()), "elsewhere.invalid")
	t.Setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "TRUE")
	retrieve(t, newProvider(t, pod.Options))
}

func TestAWSConfigCarriesFIPSDualStackAndTheCABundle(t *testing.T) {
	_, pod := newPod(t)
	type endpoints interface {
		GetUseFIPSEndpoint(context.Context) (aws.FIPSEndpointState, bool, error)
		GetUseDualStackEndpoint(context.Context) (aws.DualStackEndpointState, bool, error)
	}
	t.Run("nothing is set", func(t *testing.T) {
		cfg := newProvider(t, pod.Options).AWSConfig()
		options := sts.NewFromConfig(cfg).Options()
		assert.Equal(t, aws.FIPSEndpointStateUnset, options.EndpointOptions.UseFIPSEndpoint)
		assert.Equal(t, aws.DualStackEndpointStateUnset, options.EndpointOptions.UseDualStackEndpoint)
		assert.Nil(t, cfg.HTTPClient)
		require.Len(t, cfg.ConfigSources, 1)
		assert.Implements(t, (*endpoints)(nil), cfg.ConfigSources[0])
	})
	t.Run("all of it is set", func(t *testing.T) {
		bundle := filepath.Join(t.TempDir(), "ca.pem")
		require.NoError(t, os.WriteFile(bundle, certificate(t), 0o600))
		t.Setenv("AWS_USE_FIPS_ENDPOINT", "true")
		t.Setenv("AWS_USE_DUALSTACK_ENDPOINT", "True")
		t.Setenv("AWS_CA_BUNDLE", bundle)
		p := newProvider(t, pod.Options)
		cfg := p.AWSConfig()
		options := sts.NewFromConfig(cfg).Options()
		assert.Equal(t, aws.FIPSEndpointStateEnabled, options.EndpointOptions.UseFIPSEndpoint)
		assert.Equal(t, aws.DualStackEndpointStateEnabled, options.EndpointOptions.UseDualStackEndpoint)
		assert.NotNil(t, cfg.HTTPClient)
		assert.Same(t, cfg.HTTPClient, p.AWSConfig().HTTPClient)
		retrieve(t, p) // from sts-fips.us-west-2.api.aws
	})
}

func TestErrorWrapsErrorOfMockedSTS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod := newPod(t)
		broken := errors.New("broken")
		p := newProvider(t, pod.Options, func(o *irsa.Options) {
			o.STS = mock(func(*sts.AssumeRoleWithWebIdentityInput) (*sts.AssumeRoleWithWebIdentityOutput, error) {
				return nil, broken
			})
		})
		_, err := p.Retrieve(t.Context())
		require.ErrorIs(t, err, broken)
		require.ErrorIs(t, err, irsa.ErrUnavailable)
	})
}
