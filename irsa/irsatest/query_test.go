package irsatest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSTSQueryProtocol(t *testing.T) {
	w := onLoopback(t)
	good := url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"},
		"RoleArn": {w.pod.RoleARN()}, "RoleSessionName": {"curl"}, "WebIdentityToken": {w.pod.Token()},
	}
	cases := map[string]struct {
		method   string
		form     url.Values
		status   int
		location string
		body     string // regular expression
	}{
		"POST succeeds":                    {"POST", good, 200, "", `^<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">(?s).*<ResponseMetadata>\s*<RequestId>`},
		"GET succeeds":                     {"GET", good, 200, "", `<AccessKeyId>ASIA`},
		"an unknown action is rejected":    {"POST", url.Values{"Action": {"GetEverything"}, "Version": {"2011-06-15"}}, 400, "", `^<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">\s*<Error>\s*<Type>Sender</Type>\s*<Code>InvalidAction</Code>\s*<Message>Could not find operation GetEverything for version 2011-06-15</Message>\s*</Error>\s*<RequestId>`},
		"an unknown version is rejected":   {"POST", url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2010-05-08"}}, 400, "", `<Code>InvalidAction</Code>`},
		"no action is rejected":            {"POST", url.Values{}, 400, "", `<Code>MissingAction</Code>`},
		"missing parameters are rejected":  {"POST", url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}}, 400, "", `3 validation errors detected: Value null at &#39;roleArn&#39;`},
		"a policy's size is reported":      {"POST", with(good, "Policy", sessionPolicy), 200, "", `</Provider>\s*<PackedPolicySize>5</PackedPolicySize>\s*</`},
		"no policy has no size":            {"POST", good, 200, "", `</Provider>\s*</AssumeRoleWithWebIdentityResult>`},
		"a malformed duration is rejected": {"POST", with(good, "DurationSeconds", "soon"), 400, "", `durationSeconds`},
		"a browser is redirected":          {"GET", url.Values{}, 302, "https://aws.amazon.com/iam", `^$`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			target, body := w.STS.Endpoint()+"/", c.form.Encode()
			if c.method == http.MethodGet {
				target, body = target+"?"+body, ""
			}
			req, err := http.NewRequestWithContext(t.Context(), c.method, target, strings.NewReader(body))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			res, err := w.HTTPClient().Transport.RoundTrip(req)
			require.NoError(t, err)
			got := readAll(t, res)
			assert.Equal(t, c.status, res.StatusCode)
			assert.Equal(t, c.location, res.Header.Get("Location"))
			assert.Regexp(t, c.body, got)
		})
	}
}

func with(form url.Values, key, value string) url.Values {
	out := url.Values{key: {value}}
	for k, v := range form {
		out[k] = v
	}
	return out
}
