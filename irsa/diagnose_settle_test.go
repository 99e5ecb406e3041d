package irsa_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

// checkIn returns the check with the given name.
func checkIn(report *irsa.Report, name string) irsa.Check {
	for _, c := range report.Checks {
		if c.Name == name {
			return c
		}
	}
	return irsa.Check{}
}

// TestDiagnoseSuccessfulExchangeOverridesClaims uses a non-AWS server that accepts tokens that AWS
// would reject.
func TestDiagnoseSuccessfulExchangeOverridesClaims(t *testing.T) {
	for name, claims := range map[string][]func(*irsatest.TokenOptions){
		"no iat":           {irsatest.Claim("iat", nil), irsatest.Claim("aud", "minio")},
		"another audience": {irsatest.Claim("aud", "minio")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, pod := newPod(t)
				pod.Rotate(claims...)
				report := irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) {
					o.RoleARN, o.Endpoint = "arn:minio:iam:us-east-1::role/nOybJqMNzNmroqEKq5D0EUsRZw0", "https://minio.example"
					o.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
						body := fmt.Sprintf(`<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AKIAMINIO</AccessKeyId>`+
							`<SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken><Expiration>%s</Expiration></Credentials>`+
							`</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
						return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
					})}
				})
				assert.Equal(t, "passed", checkIn(report, "exchange").Status)
				assert.True(t, report.OK(), "%v", report)
				assert.Equal(t, "passed", checkIn(report, "audience").Status)
				assert.Empty(t, checkIn(report, "audience").Advice)
			})
		})
	}
}

// TestDiagnoseBlamesClockIfSTSAcceptsExpiredToken uses a node whose clock is ahead.
func TestDiagnoseBlamesClockIfSTSAcceptsExpiredToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		pod.Rotate(func(o *irsatest.TokenOptions) { o.Lifetime = time.Hour })
		pod.Freeze()
		time.Sleep(2 * time.Hour)
		k.STS.SetClockSkew(-90 * time.Minute)
		report := irsa.Diagnose(t.Context(), pod.Options)
		assert.Equal(t, "passed", checkIn(report, "exchange").Status)
		assert.Equal(t, "failed", checkIn(report, "clock").Status, "other services reject its signatures")
		lifetime := checkIn(report, "lifetime")
		assert.Equal(t, "warned", lifetime.Status)
		assert.NotContains(t, lifetime.Advice, "kubelet")
		assert.Contains(t, lifetime.Advice, "set the clock of this node")
	})
}

func TestDiagnoseDoesNotReportDirectoryAsMissing(t *testing.T) {
	_, pod := newPod(t)
	report := irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) { o.TokenFile = t.TempDir() })
	assert.Equal(t, "failed", checkIn(report, "token-path").Status)
	assert.NotContains(t, checkIn(report, "token-permission").Detail, "does not exist")
}

// TestDiagnoseOfTokenFuncDoesNotMentionFiles checks the report for tokens that do not come from the
// webhook or the kubelet.
func TestDiagnoseOfTokenFuncDoesNotMentionFiles(t *testing.T) {
	for name, claims := range map[string][]func(*irsatest.TokenOptions){
		"valid":            nil,
		"no aud":           {irsatest.Claim("aud", nil)},
		"another audience": {irsatest.Claim("aud", "vault")},
		"another subject":  {irsatest.Claim("sub", "repo:shop/cart")},
		"almost expired":   {irsatest.Claim("iat", time.Now().Add(-time.Hour).Unix()), irsatest.Claim("exp", time.Now().Add(time.Minute).Unix())},
		"expired":          {irsatest.Claim("iat", time.Now().Add(-time.Hour).Unix()), irsatest.Claim("exp", time.Now().Add(-time.Minute).Unix())},
	} {
		t.Run(name, func(t *testing.T) {
			_, pod := newPod(t)
			pod.Rotate(claims...)
			function := irsa.TokenFunc("function", func(context.Context) (tokenfile.Token, error) { return tokenfile.Read(pod.TokenFile()) })
			report := irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) { o.TokenFile, o.Token = "", function })
			text := fmt.Sprintf("%+v", report)
			_, text, _ = strings.Cut(text, "credentials.\n") // without the introduction
			for _, word := range []string{"kubelet", "AWS_WEB_IDENTITY_TOKEN_FILE", "annotation eks.amazonaws.com/audience", "projected", "the file"} {
				assert.NotContains(t, strings.Join(strings.Fields(text), " "), word)
			}
		})
	}
}

// The probe is a GET request, which a proxy can answer from its cache. A proxy can also replace the Date
// of every response.
func TestDiagnoseIgnoresDateThatIsNotFromSTS(t *testing.T) {
	for name, header := range map[string]func(http.Header){
		"from a cache": func(h http.Header) { h.Set("Date", date(-time.Hour)); h.Set("Age", "3600") },
		"two Dates":    func(h http.Header) { h["Date"] = []string{date(-time.Hour), date(0)} },
		"slow proxy":   func(h http.Header) { h.Set("Date", date(-time.Hour)) },
		"fast proxy":   func(h http.Header) { h.Set("Date", date(time.Minute)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				report := irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) {
					o.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
						response, err := k.HTTPClient().Transport.RoundTrip(r)
						if err == nil {
							header(response.Header)
						}
						return response, err
					})}
				})
				check := checkIn(report, "clock")
				assert.Equal(t, "skipped", check.Status, report)
				assert.Equal(t, "the Date header in the response is not from STS", check.Detail)
				assert.True(t, report.OK(), report)
			})
		})
	}
}

// The HTTP client of a program can know the tokens of earlier requests.
func TestDiagnoseHidesTokenInErrorOfHTTPClient(t *testing.T) {
	_, pod := newPod(t)
	for name, do := range map[string]doer{
		"error": func(*http.Request) (*http.Response, error) {
			return nil, errors.New("the last token was " + pod.Token())
		},
		"panic": func(*http.Request) (*http.Response, error) { panic("the last token was " + pod.Token()) },
		"body": func(r *http.Request) (*http.Response, error) {
			broken := iotest.ErrReader(errors.New("the last token was " + pod.Token()))
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(broken), Request: r}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			report := irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) { o.HTTPClient = do })
			assert.Equal(t, "failed", statusOf(report, "answer"), report)
			requireNoSecret(t, fmt.Sprintf("%+v", report), pod.Token())
		})
	}
}

// TestDiagnoseOfRegularFileDoesNotExpectKubelet checks the report for a token that the application's
// developer wrote into a file, for example with kubectl create token.
func TestDiagnoseOfRegularFileDoesNotExpectKubelet(t *testing.T) {
	for name, claims := range map[string][]func(*irsatest.TokenOptions){
		"valid":            nil,
		"another audience": {irsatest.Claim("aud", "vault")},
		"almost expired":   {irsatest.Claim("iat", time.Now().Add(-time.Hour).Unix()), irsatest.Claim("exp", time.Now().Add(time.Minute).Unix())},
	} {
		t.Run(name, func(t *testing.T) {
			k, pod := newPod(t)
			file := filepath.Join(t.TempDir(), "token")
			require.NoError(t, os.WriteFile(file, []byte(k.ServiceAccount("shop", "cart").Token(claims...)), 0o600))
			k.STS.Down() // an exchange would change the advice for the audience
			report := irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) { o.TokenFile = file })
			assert.Contains(t, checkIn(report, "token-path").Advice, "On your own computer, write a new token into the file")
			assert.Equal(t, "passed", checkIn(report, "lifetime").Status)
			assert.NotContains(t, checkIn(report, "lifetime").Detail, "kubelet")
			assert.NotContains(t, checkIn(report, "audience").Advice, "annotation")
		})
	}
}
