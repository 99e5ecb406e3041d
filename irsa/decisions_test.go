package irsa_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

func TestErrNotInjectedRequiresNeitherRoleNorToken(t *testing.T) {
	const role, file = "arn:aws:iam::111122223333:role/a", "/token"
	token := irsa.TokenFunc("test", func(context.Context) (tokenfile.Token, error) { return tokenfile.Token{}, nil })
	for _, tt := range []struct {
		envRole, envFile, podIdentity string
		set                           func(*irsa.Options)
		want                          bool
	}{
		{want: true},
		{podIdentity: "http://169.254.170.23/v1/credentials", want: true},
		{set: func(o *irsa.Options) { o.Duration = time.Minute }, want: true}, // other settings are invalid too
		{envRole: role},
		{envFile: file},
		{set: func(o *irsa.Options) { o.RoleARN = role }},
		{set: func(o *irsa.Options) { o.TokenFile = file }},
		{set: func(o *irsa.Options) { o.Token = token }},
		{envRole: role, envFile: file, set: func(o *irsa.Options) { o.Duration = time.Minute }},
	} {
		t.Setenv("AWS_ROLE_ARN", tt.envRole)
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", tt.envFile)
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", tt.podIdentity)
		_, err := irsa.New(func(o *irsa.Options) {
			if tt.set != nil {
				tt.set(o)
			}
		})
		require.ErrorIs(t, err, irsa.ErrNotConfigured)
		assert.Equal(t, tt.want, errors.Is(err, irsa.ErrNotInjected), "%+v: %v", tt, err)
		var failure *irsa.Error
		require.ErrorAs(t, err, &failure)
		assert.Equal(t, irsa.ErrNotConfigured, failure.Kind)
		assert.True(t, failure.Permanent())
	}
}

func TestErrorPermanentDistinguishesMisconfigurationFromOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for fault, want := range map[irsatest.Fault]bool{
			irsatest.AccessDenied: true, irsatest.Unavailable: false, irsatest.Throttling: false,
		} {
			k, pod := newPod(t)
			p := newProvider(t, pod.Options)
			k.STS.Fail(fault, -1)
			err := p.Refresh(t.Context())
			var failure *irsa.Error
			require.ErrorAs(t, err, &failure)
			assert.Equal(t, want, failure.Permanent(), "%v", err)
		}
	})
}

// A token function that returns malformed text is misconfigured, whereas a malformed file may just be
// incomplete.
func TestErrorPermanentForMalformedTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		target := k.Role("target")
		malformed := irsa.TokenFunc("test", func(context.Context) (tokenfile.Token, error) { return tokenfile.Parse("no token") })
		byFunc := newProvider(t, func(o *irsa.Options) {
			pod.Options(o)
			o.TokenFile, o.Token = "", malformed
		})
		byFile := newProvider(t, pod.Options)
		pod.WriteInPlace([]byte("no token"))
		for p, want := range map[*irsa.Provider]bool{byFunc: true, byFile: false} {
			derived, err := p.AssumeRole(target.ARN())
			require.NoError(t, err)
			for _, p := range []*irsa.Provider{p, derived} {
				start := time.Now()
				_, err = p.Retrieve(t.Context())
				var failure *irsa.Error
				require.ErrorAs(t, err, &failure)
				assert.Equal(t, irsa.ErrTokenFile, failure.Kind)
				assert.Equal(t, want, failure.Permanent(), "%v", err)
				if want {
					assert.Zero(t, time.Since(start), "the caller gets the error without a retry")
				}
			}
		}
	})
}

func TestErrorBlamesTokenFuncThatReturnsEmptyToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		withoutToken := func(o *irsa.Options) {
			o.TokenFile = ""
			o.Token = irsa.TokenFunc("test", func(context.Context) (tokenfile.Token, error) { return tokenfile.Token{}, nil })
		}
		_, err := newProvider(t, pod.Options, withoutToken).Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrTokenFile)
		require.ErrorIs(t, err, tokenfile.ErrMalformed)
		require.ErrorContains(t, err, "Options.Token")
		assert.Zero(t, k.STS.CallCount())

		assert.Equal(t, "failed", statusOf(irsa.Diagnose(t.Context(), pod.Options, withoutToken), "token"))
	})
}

// agents records the User-Agent headers of requests.
type agents struct {
	http.RoundTripper
	all []string
}

func (a *agents) RoundTrip(r *http.Request) (*http.Response, error) {
	a.all = append(a.all, r.Header.Get("User-Agent"))
	return a.RoundTripper.RoundTrip(r)
}

func TestOptionsAppIDIsInUserAgent(t *testing.T) {
	for name, fromEnvironment := range map[string]bool{"option": false, "environment": true} {
		t.Run(name, func(t *testing.T) {
			k, pod := newPod(t)
			seen := &agents{RoundTripper: k.HTTPClient().Transport}
			if fromEnvironment {
				t.Setenv("AWS_SDK_UA_APP_ID", "cart-v2")
			} else {
				t.Setenv("AWS_SDK_UA_APP_ID", "other")
			}
			p := newProvider(t, pod.Options, func(o *irsa.Options) {
				o.HTTPClient = &http.Client{Transport: seen}
				if !fromEnvironment {
					o.AppID = "cart-v2"
				}
			})
			retrieve(t, p)
			cfg := p.AWSConfig()
			cfg.HTTPClient = &http.Client{Transport: seen}
			_, _ = sts.NewFromConfig(cfg, func(o *sts.Options) { o.BaseEndpoint = aws.String(k.STS.Endpoint()) }).GetCallerIdentity(t.Context(), nil)
			require.Len(t, seen.all, 2)
			for _, agent := range seen.all {
				assert.Contains(t, agent, "app/cart-v2")
			}
		})
	}
	_, pod := newPod(t)
	_, err := irsa.New(pod.Options, func(o *irsa.Options) { o.AppID = strings.Repeat("x", 256) })
	require.ErrorIs(t, err, irsa.ErrNotConfigured)
	assert.ErrorContains(t, err, "the application ID has 256 bytes")
}

// hostsSeen records the hosts of requests without sending them.
type hostsSeen struct{ all []string }

func (h *hostsSeen) RoundTrip(r *http.Request) (*http.Response, error) {
	h.all = append(h.all, r.URL.Host)
	return nil, http.ErrHandlerTimeout
}

func TestPoolRoleRegionAppliesToOwnSTSClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod, roles := threeAccounts(t)
		seen := &hostsSeen{}
		client := sts.New(sts.Options{Region: "us-east-2", HTTPClient: &http.Client{Transport: seen}})
		p := newPool(t, pod, func(o *irsa.PoolOptions) { o.STS, o.HTTPClient, o.Endpoint, o.Region = client, nil, "", "us-west-2" })
		for region, host := range map[string]string{
			"": "sts.us-east-2.amazonaws.com", "us-west-2": "sts.us-east-2.amazonaws.com", "eu-central-1": "sts.eu-central-1.amazonaws.com",
		} {
			seen.all = nil
			provider := pooled(t, p, irsa.RoleOptions{RoleARN: roles[0].ARN(), Region: region})
			require.ErrorIs(t, provider.Refresh(t.Context()), irsa.ErrUnavailable)
			assert.Equal(t, []string{host}, seen.all, region)
		}
		assert.Equal(t, "eu-central-1", pooled(t, p, irsa.RoleOptions{RoleARN: roles[0].ARN(), Region: "eu-central-1"}).AWSConfig().Region)
		_, err := p.Provider(irsa.RoleOptions{RoleARN: roles[0].ARN(), Region: "no region"})
		require.ErrorIs(t, err, irsa.ErrNotConfigured)

		mocked := newPool(t, pod, func(o *irsa.PoolOptions) { o.STS, o.HTTPClient, o.Endpoint = mockSTS{}, nil, "" })
		_, err = mocked.Provider(irsa.RoleOptions{RoleARN: roles[0].ARN(), Region: "eu-central-1"})
		require.ErrorIs(t, err, irsa.ErrNotConfigured)
		assert.ErrorContains(t, err, "*sts.Client")
	})
}
