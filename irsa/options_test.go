package irsa_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// valid sets options that New accepts.
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
			want: []string{"but AWS_WEB_IDENTITY_TOKEN_FILE is not set", "remove AWS_ROLE_ARN from the container", "#half-injected"}},
		{name: "several faults at once", set: func(o *irsa.Options) { o.RoleARN, o.TokenFile, o.Duration, o.SessionName = "x", "y", 1, "z" },
			want: []string{`"x" is not`, `"y" is not`, "the duration 1ns", `the session name "z"`}},
		{name: "missing CA bundle", env: map[string]string{"AWS_CA_BUNDLE": "/no/such/bundle.pem"}, want: []string{"AWS_CA_BUNDLE: ", " /no/such/bundle.pem: "}},
		{name: "a session name from the environment", env: map[string]string{"AWS_ROLE_SESSION_NAME": "a b"}, want: []string{`the session name "a b"`}},
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
				assert.Contains(t, fmt.Sprintf("%+v", err), want)
			}
			requireShort(t, err)
		})
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

func TestProviderSendsDuration(t *testing.T) {
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
		assert.ErrorContains(t, err, "no region is set")
	})
	t.Run("issuer without a region", func(t *testing.T) {
		_, err := irsa.New(pod.Options, noRegion, func(o *irsa.Options) {
			o.TokenFile, o.Token = "", tokens("eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIn0.c2ln")
		})
		require.ErrorIs(t, err, irsa.ErrNotConfigured)
		assert.ErrorContains(t, err, `the token's issuer "https://issuer.example" does not contain one`)
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
	assert.Contains(t, seen.log(), "AWS_STS_REGIONAL_ENDPOINTS=legacy is ignored")
	assert.Contains(t, seen.log(), "AWS_ENDPOINT_URL is ignored")
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

func TestAWSConfigIncludesFIPSDualStackAndCABundle(t *testing.T) {
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
