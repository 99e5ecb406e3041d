package irsa_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// TestErrorTextIsSameForSameCause makes 1,000 attempts for each cause, from two pods. If the text
// varied, a controller that writes it to a status would be triggered by each change.
func TestErrorTextIsSameForSameCause(t *testing.T) {
	t.Parallel()
	for _, fault := range []irsatest.Fault{
		irsatest.Throttling, irsatest.AccessDenied, irsatest.ExpiredToken, irsatest.VerificationKey, irsatest.Unavailable,
		irsatest.Reset, irsatest.Hang, irsatest.HTMLReply, irsatest.ExpiredCredentials,
	} {
		inBubble(t, string(fault), func(t *testing.T) {
			k := newCluster(t)
			sa := k.ServiceAccount("shop", "cart")
			role := k.Role("s3-writer", irsatest.Trust(sa))
			k.STS.Fail(fault, -1)
			texts, attempts := map[string]int{}, 0
			for range 2 {
				pod := k.Pod(sa, role)
				p := newProvider(t, pod.Options, func(o *irsa.Options) { o.AttemptTimeout = 2 * time.Second })
				require.Error(t, p.Refresh(t.Context()))
				for range testsize.Choose(25, 200, 500) {
					before := k.STS.CallCount()
					ctx, cancel := context.WithTimeout(t.Context(), time.Second) // often done before the attempt
					_, err := p.Retrieve(ctx)
					cancel()
					require.Error(t, err)
					texts[err.Error()]++
					err = p.Refresh(t.Context())
					require.Error(t, err)
					texts[err.Error()]++
					texts[p.Status().Err.Error()]++
					time.Sleep(time.Until(p.Status().NextAttempt))
					if k.STS.CallCount() > before {
						attempts++
					}
				}
				pod.Rotate()
			}
			assert.Len(t, texts, 1, "%v", slices.Collect(maps.Keys(texts)))
			assert.GreaterOrEqual(t, attempts, 2*testsize.Choose(25, 200, 500))
		})
	}
}

func TestErrorTextIsBoundedWithLongestRegion(t *testing.T) {
	t.Setenv("AWS_USE_FIPS_ENDPOINT", "true")
	synctest.Test(t, func(t *testing.T) {
		_, pod := newPod(t)
		p := newProvider(t, pod.Options, func(o *irsa.Options) {
			o.Region = strings.Repeat("a", 63)
			o.RoleARN = "arn:aws:iam::111122223333:role/" + strings.Repeat("r", 64)
			o.HTTPClient = &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
				return nil, &net.DNSError{Name: "sts-fips.example", IsNotFound: true}
			})}
		})
		_, err := p.Retrieve(t.Context())
		requireShort(t, err)
	})
}

func TestErrorTextIsBounded(t *testing.T) {
	t.Parallel()
	long := func(begin string) string { return begin + strings.Repeat("é", 500) + strings.Repeat("x", 5000) }
	for _, fault := range []irsatest.Fault{
		irsatest.Throttling, irsatest.AccessDenied, irsatest.ExpiredToken, irsatest.VerificationKey, irsatest.IDPRejectedClaim, irsatest.Thumbprint,
		irsatest.Unavailable, irsatest.Reset, irsatest.Hang, irsatest.HTMLReply, irsatest.ExpiredCredentials, irsatest.RegionDisabled,
	} {
		for _, claim := range []string{"iss", "sub", "aud"} {
			inBubble(t, string(fault)+" "+claim, func(t *testing.T) {
				k, pod := newPod(t)
				pod.Rotate(irsatest.Claim(claim, long("https://")))
				k.STS.Fail(fault, -1)
				for _, role := range []string{pod.RoleARN(), pod.RoleARN()[:31] + strings.Repeat("path/", 380) + strings.Repeat("n", 64)} {
					p := newProvider(t, pod.Options, func(o *irsa.Options) { o.RoleARN = role })
					_, err := p.Retrieve(t.Context())
					require.Error(t, err)
					requireShort(t, err)
					requireNoSecret(t, fmt.Sprintf("%+v %v %q %#v %s", err, err, err, err, err), pod.Token())
					assert.Contains(t, err.Error(), role[len(role)-20:], "the end of the role's ARN")
					var e *irsa.Error
					require.ErrorAs(t, err, &e)
					for _, value := range append(e.Audience, e.Issuer, e.Subject) {
						assert.Less(t, len(value), 1<<10)
					}
					assert.Less(t, len(e.LogValue().String()), 4<<10)
				}
			})
		}
	}
}

func TestErrorLogValueIsGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		var out bytes.Buffer
		p := newProvider(t, pod.Options, func(o *irsa.Options) { o.Logger = slog.New(slog.NewJSONHandler(&out, nil)) })
		retrieve(t, p)
		k.STS.Fail(irsatest.AccessDenied, -1)
		require.Error(t, p.Refresh(t.Context()))
		synctest.Wait()
		var line struct {
			Role        string
			NextAttempt time.Time `json:"next_attempt"`
			Error       map[string]string
		}
		require.NoError(t, json.Unmarshal(out.Bytes(), &line), out.String())
		assert.Equal(t, pod.RoleARN(), line.Role)
		assert.False(t, line.NextAttempt.IsZero())
		assert.Equal(t, "system:serviceaccount:shop:cart", line.Error["subject"])
		assert.Equal(t, "sts.amazonaws.com", line.Error["audience"])
		assert.Equal(t, "AccessDenied", line.Error["code"])
		assert.NotEmpty(t, line.Error["request_id"])
		assert.Equal(t, p.Status().Err.Error(), line.Error["text"])

		// Errors without a response also have the attribute.
		e := &irsa.Error{Kind: irsa.ErrUnavailable, NextAttempt: time.Now()}
		assert.Contains(t, e.LogValue().String(), "request_id=")
		assert.Contains(t, e.LogValue().String(), "next_attempt=")
	})
}

// TestErrorIsCreatedWithoutRereadingFile checks that the details of the token file in an error come
// from the failed read.
func TestErrorIsCreatedWithoutRereadingFile(t *testing.T) {
	for _, file := range []string{"explain.go", "errors.go", "../internal/explain/rule.go"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.NotRegexp(t, `InspectFile|TokenError\(|os\.(Open|Stat|Lstat|ReadFile)`, string(text), file)
	}
}

func TestNewReportsFirstErrorAndCountsOthers(t *testing.T) {
	_, err := irsa.New(func(o *irsa.Options) {
		o.RoleARN, o.TokenFile, o.Duration, o.SessionName, o.Region = "x", "y", 1, "z", "us-east-1a"
	})
	require.ErrorIs(t, err, irsa.ErrNotConfigured)
	assert.ErrorContains(t, err, `irsa: invalid configuration: the token file "y" is not`)
	assert.ErrorContains(t, err, "(role x, and 4 more errors)")
	requireShort(t, err)
	for _, want := range []string{`"x" is not the ARN`, `the token file "y" is not an absolute path`, "the duration 1ns", `the session name "z"`, `"us-east-1a" is a zone of the region us-east-1`} {
		assert.Contains(t, fmt.Sprintf("%+v", err), want)
	}
}

func TestNewErrorMatchesErrNotInjected(t *testing.T) {
	_, err := irsa.New()
	require.ErrorIs(t, err, irsa.ErrNotInjected)
	require.ErrorIs(t, err, irsa.ErrNotConfigured)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials")
	_, err = irsa.New()
	require.ErrorIs(t, err, irsa.ErrNotInjected, "the pod uses Pod Identity instead of IRSA")
	for _, name := range []string{injectedRole, injectedToken} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "/x")
			_, err := irsa.New()
			require.ErrorIs(t, err, irsa.ErrNotConfigured)
			require.NotErrorIs(t, err, irsa.ErrNotInjected, "one of the two variables is set")
		})
	}
}

func TestErrorPermanentFollowsKind(t *testing.T) {
	for kind, want := range map[error]bool{
		irsa.ErrNotConfigured: true, irsa.ErrTokenExpired: true, irsa.ErrTokenRejected: true, irsa.ErrAccessDenied: true, irsa.ErrInvalidRequest: true,
		irsa.ErrClosed: true, irsa.ErrTokenFile: false, irsa.ErrThrottled: false, irsa.ErrUnavailable: false, irsa.ErrRejected: false,
	} {
		assert.Equal(t, want, (&irsa.Error{Kind: kind}).Permanent(), kind)
	}
}

func TestErrorNamesEndpointIfCallerTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		k.STS.Fail(irsatest.Hang, -1)
		p := newProvider(t, pod.Options)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.Retrieve(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var failure *irsa.Error
		require.ErrorAs(t, err, &failure)
		assert.Equal(t, "https://sts.us-west-2.amazonaws.com", failure.Endpoint)
		assert.Contains(t, failure.Link, "#timeout")
		assert.Contains(t, failure.Advice, "com.amazonaws.us-west-2.sts")
		assert.Contains(t, fmt.Sprintf("%+v", err), "endpoint: https://sts.us-west-2.amazonaws.com")

		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = p.Retrieve(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorAs(t, err, &failure)
		assert.Contains(t, failure.Advice, "context was canceled")
	})
}

func TestErrorIsShortAndOmitsPassword(t *testing.T) {
	k, pod := newPod(t)
	_, err := irsa.New(pod.Options, func(o *irsa.Options) { o.Endpoint = "http://user:hunter2@sts.example" })
	require.ErrorIs(t, err, irsa.ErrNotConfigured)
	assert.NotContains(t, err.Error(), "hunter2")
	_, err = irsa.New(pod.Options, func(o *irsa.Options) { o.Endpoint = "http://user:hun ter2@sts.exa mple:port" })
	assert.NotContains(t, err.Error(), "hun ter2")
	assert.NotContains(t, irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) { o.Endpoint = "http://user:hunter2@sts.example" }).String(), "hunter2")

	long := roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(errorXML("ValidationError", strings.Repeat("é", 50_000)))), Request: r}, nil
	})
	p := newProvider(t, pod.Options, func(o *irsa.Options) { o.HTTPClient = &http.Client{Transport: long} })
	_, err = p.Retrieve(t.Context())
	require.ErrorIs(t, err, irsa.ErrInvalidRequest)
	requireShort(t, err)

	pod.Rotate(irsatest.Claim("iss", "https://a.b/c$(id);'`x"))
	k.UnregisterIssuer("111122223333", k.Issuer)
	_, err = newProvider(t, pod.Options).Retrieve(t.Context())
	var failure *irsa.Error
	require.ErrorAs(t, err, &failure)
	assert.NotRegexp(t, "[$`\n;']", failure.Advice[strings.Index(failure.Advice, "aws iam"):], "no characters that a shell interprets")
}

// The error of http.ProxyFromEnvironment repeats the variable, including the password.
func TestErrorOfInvalidProxyOmitsPassword(t *testing.T) {
	for _, variable := range []string{"http://user:hunter2%zz@proxy:3128", "http://user:hunter2/x@proxy:3128", "http://user:hunter2@pro xy"} {
		proxy := func(*http.Request) (*url.URL, error) {
			address, err := url.Parse(variable)
			return address, fmt.Errorf("invalid proxy address %q: %w", variable, err)
		}
		for _, client := range []aws.HTTPClient{
			awshttp.NewBuildableClient().WithTransportOptions(func(transport *http.Transport) { transport.Proxy = proxy }),
			&http.Client{Transport: &http.Transport{Proxy: proxy}},
		} {
			_, pod := newPod(t)
			set := func(o *irsa.Options) { o.HTTPClient = client }
			err := newProvider(t, pod.Options, set).Refresh(t.Context())
			require.ErrorContains(t, err, "invalid proxy address in the environment")
			require.ErrorContains(t, err, "#proxy")
			text := fmt.Sprintf("%+v %+v", err, irsa.Diagnose(t.Context(), pod.Options, set))
			assert.NotContains(t, text, "hunter2")
			assert.NotContains(t, text, "%zz")
		}
	}
}
