package irsa_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

func TestDiagnoseHealthyPodPassesAllChecks(t *testing.T) {
	k := newCluster(t, func(o *irsatest.Options) { o.Loopback, o.IssuerURL = true, issuerURL })
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	report := irsa.Diagnose(t.Context(), pod.Options)
	report.CheckTrustPolicy([]byte(k.Role("s3-writer", irsatest.Trust(sa)).TrustPolicy()))
	var names []string
	for _, c := range report.Checks {
		names = append(names, c.Name)
		want := "passed"
		if c.Name == "name-resolution" || c.Name == "tls" { // not applicable on loopback
			want = "skipped"
		}
		assert.Equal(t, want, c.Status, "%s: %s", c.Name, c.Detail)
		assert.Empty(t, c.Advice+c.Link, c.Name)
	}
	assert.Equal(t, []string{
		"environment", "other-credentials", "role", "settings", "token-path", "token-permission", "token", "claims", "audience", "lifetime",
		"region", "endpoint", "name-resolution", "connection", "tls", "answer", "clock", "trust-policy", "exchange", "caller-identity", "expiry",
	}, names)
	assert.True(t, report.OK())
	assert.Equal(t, []string{"GetCallerIdentity", "AssumeRoleWithWebIdentity", "GetCallerIdentity"}, actions(k.STS))
}

func actions(s *irsatest.STS) []string {
	var out []string
	for _, call := range s.Calls() {
		out = append(out, call.Action)
	}
	return out
}

func TestDiagnoseUsesCustomSTSClient(t *testing.T) {
	report := irsa.Diagnose(t.Context(), func(o *irsa.Options) {
		o.RoleARN, o.Token, o.STS = "arn:aws:iam::111122223333:role/s3-writer", kubernetesToken{}, mockSTS{}
	})
	assert.Equal(t, "passed", statusOf(report, "exchange"), report)
	for _, name := range []string{"region", "endpoint", "connection", "tls", "answer", "clock", "caller-identity"} {
		assert.Equal(t, "skipped", statusOf(report, name), name)
	}
}

// A server may repeat the request in its responses.
func TestDiagnoseRedactsRepeatedSecrets(t *testing.T) {
	for _, action := range []string{"AssumeRoleWithWebIdentity", "GetCallerIdentity"} {
		t.Run(action, func(t *testing.T) {
			k, pod := newPod(t)
			kept := &keeper{RoundTripper: k.HTTPClient().Transport}
			report := irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) {
				o.HTTPClient = &http.Client{Transport: &echo{RoundTripper: kept, action: action}}
			})
			text, err := json.Marshal(report)
			require.NoError(t, err)
			require.Contains(t, report.String(), "InternalFailure: you sent")
			out := &output{}
			out.print(report)
			fmt.Fprintf(out, "%s\n%s", report, text)
			requireSilent(t, out, append(kept.secrets(), tokenParts(pod.Token())...)...)
		})
	}
}

func TestDiagnoseRedactsErrorsOfTokenSources(t *testing.T) {
	_, pod := newPod(t)
	report := irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) {
		o.TokenFile, o.Token = "", irsa.TokenFunc("test", func(context.Context) (tokenfile.Token, error) {
			return tokenfile.Token{}, errors.New("cannot use " + pod.Token())
		})
	})
	require.Contains(t, report.String(), "cannot use [redacted]")
	require.Empty(t, leaked(report.String(), tokenParts(pod.Token())))
}

// echo responds to one action with everything that it received, provided the request is signed or has
// a token.
type echo struct {
	http.RoundTripper
	action string
}

func (e *echo) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		return e.RoundTripper.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if !strings.Contains(string(body), "Action="+e.action) {
		return e.RoundTripper.RoundTrip(r)
	}
	text := fmt.Sprintf("you sent %s %s", body, r.Header.Get("X-Amz-Security-Token"))
	return &http.Response{
		StatusCode: http.StatusInternalServerError, Status: "500 Internal Server Error", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: r,
		Body: io.NopCloser(strings.NewReader(errorXML("InternalFailure", strings.ReplaceAll(text, "&", "&amp;")))),
	}, nil
}

func TestDiagnoseWarnsAboutSlowSTS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		k.STS.SetLatency(3 * time.Second) // more than probeLimit, less than exchangeLimit
		report := irsa.Diagnose(t.Context(), pod.Options)
		assert.Equal(t, "warned", statusOf(report, "answer"), report)
		assert.Equal(t, "passed", statusOf(report, "exchange"))
		assert.Contains(t, fmt.Sprintf("%500v", report), "timed out after 2.5s, but the exchange succeeded")
	})
}

func TestDiagnoseWarnsAboutUnusualSetups(t *testing.T) {
	for name, tt := range map[string]struct {
		unusual func(*irsatest.Cluster, *irsatest.Pod)
		check   string
		status  string
	}{
		"a clock half a minute ahead":                {func(k *irsatest.Cluster, _ *irsatest.Pod) { k.STS.SetClockSkew(-30 * time.Second) }, "clock", "warned"},
		"a clock half a minute behind":               {func(k *irsatest.Cluster, _ *irsatest.Pod) { k.STS.SetClockSkew(30 * time.Second) }, "clock", "warned"},
		"a clock three seconds ahead":                {func(k *irsatest.Cluster, _ *irsatest.Pod) { k.STS.SetClockSkew(-3 * time.Second) }, "clock", "passed"},
		"no Date":                                    {func(k *irsatest.Cluster, _ *irsatest.Pod) { k.STS.OmitDate(true) }, "clock", "skipped"},
		"credentials for five minutes":               {func(k *irsatest.Cluster, _ *irsatest.Pod) { k.STS.SetLifetime(5 * time.Minute) }, "expiry", "warned"},
		"credentials for fifteen minutes":            {func(k *irsatest.Cluster, _ *irsatest.Pod) { k.STS.SetLifetime(15 * time.Minute) }, "expiry", "passed"},
		"a token of a year, a day and a quarter old": {ofAYear(30 * time.Hour), "lifetime", "warned"},
		"a token of a year, of yesterday":            {ofAYear(23 * time.Hour), "lifetime", "passed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				tt.unusual(k, pod)
				report := irsa.Diagnose(t.Context(), pod.Options)
				assert.Equal(t, tt.status, statusOf(report, tt.check), report)
				assert.True(t, report.OK(), report)
			})
		})
	}
}

func ofAYear(age time.Duration) func(*irsatest.Cluster, *irsatest.Pod) {
	return func(_ *irsatest.Cluster, pod *irsatest.Pod) {
		pod.Rotate(func(o *irsatest.TokenOptions) { o.Lifetime = 365 * 24 * time.Hour })
		time.Sleep(age)
	}
}

func TestDiagnoseClassifiesCallerIdentity(t *testing.T) {
	for _, tt := range []struct {
		status        int
		code, message string
		want          string
		text          string // in the report
	}{
		{http.StatusForbidden, "AccessDenied", "", "warned", "only this check is denied"}, // by the policy of a VPC endpoint
		{http.StatusBadRequest, "Throttling", "", "warned", "share STS's limit"},
		{http.StatusServiceUnavailable, "ServiceUnavailable", "", "warned", "STS is failing"},
		{http.StatusNotImplemented, "", "", "warned", "is not STS"}, // MinIO with a role of AWS
		{http.StatusForbidden, "InvalidClientTokenId", "", "failed", "check the node's clock"},
		{http.StatusForbidden, "SomethingNew", "", "failed", "check the node's clock"},
		{http.StatusForbidden, "SignatureDoesNotMatch", "", "failed", "something changed the request"},
		{http.StatusForbidden, "SignatureDoesNotMatch", "Signature expired: 20000101T000000Z is now earlier than 20000101T000500Z", "failed", "set the clock of this node"},
		{http.StatusForbidden, "SignatureDoesNotMatch", "Credential should be scoped to a valid region, not 'us-west-2'.", "failed", "STS in a region other than us-west-2 responded"},
	} {
		k, pod := newPod(t)
		signed := roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPost && r.Header.Get("Authorization") != "" {
				body := io.NopCloser(strings.NewReader(errorXML(tt.code, tt.message)))
				return &http.Response{StatusCode: tt.status, Header: http.Header{}, Body: body, Request: r}, nil
			}
			return k.HTTPClient().Transport.RoundTrip(r)
		})
		report := irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) { o.HTTPClient = &http.Client{Transport: signed} })
		assert.Equal(t, tt.want, statusOf(report, "caller-identity"), report)
		assert.Contains(t, strings.Join(strings.Fields(report.String()), " "), tt.text)
	}
	_, pod := newPod(t)
	report := irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) {
		o.RoleARN, o.STS = "arn:minio:iam:us-west-2::role/nOybJqMNzNmroqEKq5D0EUsRZw0", silentIdentity{}
	})
	assert.Equal(t, "warned", statusOf(report, "caller-identity"), report)
}

// silentIdentity is a client whose GetCallerIdentity fails.
type silentIdentity struct{ mockSTS }

func (silentIdentity) GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error) {
	return nil, errors.New("not implemented")
}

// panickingTokens is a TokenSource that panics with a token.
type panickingTokens string

func (panickingTokens) Identity() string { return "shop/cart" }

func (p panickingTokens) Token(context.Context) (tokenfile.Token, error) { panic(string(p)) }

func TestDiagnoseSurvivesBrokenOptions(t *testing.T) {
	for name, do := range map[string]doer{
		"neither":              func(*http.Request) (*http.Response, error) { return nil, nil },
		"panic":                func(*http.Request) (*http.Response, error) { panic("client") },
		"nothing but a status": func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: http.StatusOK}, nil },
		"another request": func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Request: &http.Request{URL: &url.URL{Host: "sts.example"}}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, pod := newPod(t)
			set := func(o *irsa.Options) { o.HTTPClient = do }
			assert.Equal(t, "failed", statusOf(irsa.Diagnose(t.Context(), pod.Options, set), "exchange"))
			err := newProvider(t, pod.Options, set).Refresh(t.Context())
			require.ErrorIs(t, err, irsa.ErrUnavailable)
			assert.NotContains(t, err.Error(), "nil pointer")
		})
	}
	t.Run("no identity", func(t *testing.T) {
		_, pod := newPod(t)
		for _, do := range []func(){func() {}, func() { panic("client") }} {
			client := identityMock{func(*sts.AssumeRoleWithWebIdentityInput) (*sts.AssumeRoleWithWebIdentityOutput, error) {
				return session(), nil
			}, do}
			assert.Equal(t, "warned", statusOf(irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) { o.STS = client }), "caller-identity"))
		}
	})
	t.Run("the token source panics", func(t *testing.T) {
		_, pod := newPod(t)
		set := func(o *irsa.Options) { o.TokenFile, o.Token, o.Region = "", panickingTokens(pod.Token()), "" }
		text := fmt.Sprintf("%+v", irsa.Diagnose(t.Context(), pod.Options, set))
		_, err := irsa.New(pod.Options, set)
		require.ErrorIs(t, err, irsa.ErrNotConfigured)
		require.ErrorContains(t, errors.Unwrap(err), "panicked")
		requireNoSecret(t, text+fmt.Sprintf("%+v", err), pod.Token())
	})
}

// identityMock is a mock whose GetCallerIdentity calls a function and returns nothing.
type identityMock struct {
	mock
	do func()
}

func (m identityMock) GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error) {
	m.do()
	return nil, nil
}

func statusOf(r *irsa.Report, name string) string {
	for _, c := range r.Checks {
		if c.Name == name {
			return c.Status
		}
	}
	return ""
}
