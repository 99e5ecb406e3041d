package irsa_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

func TestAHealthyPodPassesEveryCheckInItsOrder(t *testing.T) {
	k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback, o.IssuerURL = true, issuerURL })
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	report := irsa.Diagnose(t.Context(), pod.Options)
	report.CheckTrustPolicy([]byte(k.Role("s3-writer", irsatest.Trust(sa)).TrustPolicy()))
	var names []string
	for _, c := range report.Checks {
		names = append(names, c.Name)
		want := irsa.CheckPassed
		if c.Name == "name-resolution" || c.Name == "tls" { // there is none on loopback
			want = irsa.CheckSkipped
		}
		assert.Equal(t, want, c.Status, "%s: %s", c.Name, c.Detail)
		assert.Empty(t, c.Cure+c.Link, c.Name)
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

func TestTheReportOfASlowSTSIsThereIn10SecondsWhateverHangs(t *testing.T) {
	for name, slow := range map[string]func(*irsatest.STS, *irsatest.Role, *irsa.Options){
		"all of it": func(s *irsatest.STS, _ *irsatest.Role, _ *irsa.Options) { s.Fail(irsatest.Hang, -1) },
		"slow, and the exchange": func(s *irsatest.STS, r *irsatest.Role, _ *irsa.Options) {
			s.SetLatency(2400 * time.Millisecond)
			r.Fail(irsatest.Hang, -1)
		},
		"all of it, slowly": func(s *irsatest.STS, _ *irsatest.Role, _ *irsa.Options) { s.SetLatency(2400 * time.Millisecond) },
		"the token function": func(_ *irsatest.STS, _ *irsatest.Role, o *irsa.Options) {
			o.TokenFile, o.Token, o.Region = "", hangingTokens{}, ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				begin := time.Now()
				report := irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) {
					slow(k.STS, k.Role("s3-writer"), o)
				})
				assert.Less(t, time.Since(begin), 10*time.Second)
				assert.False(t, report.OK())
			})
		})
	}
}

type hangingTokens struct{}

func (hangingTokens) Token(ctx context.Context) (tokenfile.Token, error) {
	<-ctx.Done()
	return tokenfile.Token{}, ctx.Err()
}

func TestDiagnoseEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		k.STS.Fail(irsatest.Hang, -1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		report := irsa.Diagnose(ctx, pod.Options)
		assert.Equal(t, time.Second, time.Since(begin))
		assert.Equal(t, irsa.CheckFailed, statusOf(report, "answer"))
	})
}

func TestAClientOfTheApplicationsOwnIsAskedAsItIs(t *testing.T) {
	report := irsa.Diagnose(t.Context(), func(o *irsa.Options) {
		o.RoleARN, o.Token, o.STS = "arn:aws:iam::111122223333:role/s3-writer", kubernetesToken{}, mockSTS{}
	})
	assert.Equal(t, irsa.CheckPassed, statusOf(report, "exchange"), report)
	for _, name := range []string{"region", "endpoint", "connection", "tls", "answer", "clock", "caller-identity"} {
		assert.Equal(t, irsa.CheckSkipped, statusOf(report, name), name)
	}
}

// A server may repeat in its answers what it was sent.
func TestTheReportHoldsNoSecretThatAServerRepeats(t *testing.T) {
	for _, action := range []string{"AssumeRoleWithWebIdentity", "GetCallerIdentity"} {
		t.Run(action, func(t *testing.T) {
			k, pod := newPod(t)
			kept := &keeper{RoundTripper: k.HTTPClient().Transport}
			report := irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) {
				o.HTTPClient = &http.Client{Transport: &echo{RoundTripper: kept, action: action}}
			})
			require.False(t, report.OK())
			text, err := json.Marshal(report)
			require.NoError(t, err)
			require.Contains(t, report.String(), "InternalFailure: you sent")
			out := &output{}
			out.print(report)
			fmt.Fprintf(out, "%s\n%s", report, text)
			requireSilent(t, out, append(kept.secrets(), strings.Split(pod.Token(), ".")...)...)
		})
	}
}

// echo answers one action, when it is signed or has a token, with all that it was sent.
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

func TestATrustPolicyIsJudgedWithoutAnExchange(t *testing.T) {
	k, pod := newPod(t)
	policy := k.Role("s3-writer", irsatest.Trust(k.ServiceAccount("shop", "cart"))).TrustPolicy()
	k.STS.Down()
	report := irsa.Diagnose(t.Context(), pod.Options)
	report.CheckTrustPolicy([]byte(strings.Replace(policy, "shop:cart", "shop:search", 1)))
	assert.Equal(t, irsa.CheckFailed, statusOf(report, "trust-policy"))

	report = irsa.Diagnose(t.Context()) // nothing is set
	report.CheckTrustPolicy([]byte(policy))
	assert.Equal(t, irsa.CheckSkipped, statusOf(report, "trust-policy"))
	report = &irsa.Report{}
	report.CheckTrustPolicy([]byte("no JSON"))
	assert.Equal(t, irsa.CheckFailed, statusOf(report, "trust-policy"))
}

func TestAReportIsOneLineForEachThingThatItSays(t *testing.T) {
	_, pod := newPod(t)
	pod.Rotate(irsatest.Claim("sub", "a\nFAILED\x1b[31m"))
	report := irsa.Diagnose(t.Context(), pod.Options)
	report.CheckTrustPolicy([]byte("{\"Version\": \"\n\"}"))
	for _, c := range report.Checks {
		assert.NotRegexp(t, `[[:cntrl:]]`, c.Name+c.Detail+c.Cure+c.Link)
	}
}
