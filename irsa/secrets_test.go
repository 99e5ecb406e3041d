package irsa_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

// output collects everything that is printed.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// print writes v with all verbs and marshalers.
func (o *output) print(v any) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(o, verb+"\n", v)
	}
	if text, err := json.Marshal(v); err == nil {
		fmt.Fprintln(o, string(text))
	}
	slog.New(slog.NewTextHandler(o, nil)).Info("value", "v", v)
	slog.New(slog.NewJSONHandler(o, nil)).Info("value", "v", v)
	if err, ok := v.(error); ok {
		o.chain(err)
	}
}

// chain prints every error in err's tree.
func (o *output) chain(err error) {
	var reply *smithy.DeserializationError
	if errors.As(err, &reply) {
		o.print(*reply)
		fmt.Fprintln(o, string(reply.Snapshot))
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		fmt.Fprintln(o, api.ErrorMessage())
	}
	causes := []error{errors.Unwrap(err)}
	if joined, ok := any(err).(interface{ Unwrap() []error }); ok {
		causes = joined.Unwrap()
	}
	for _, cause := range causes {
		if cause != nil {
			fmt.Fprintf(o, "%v %+v %#v\n", cause, cause, cause)
			o.chain(cause)
		}
	}
}

// keeper records the secrets in STS's responses.
type keeper struct {
	http.RoundTripper
	mu      sync.Mutex
	replies []string
}

func (k *keeper) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := k.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 2<<20))
	response.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), response.Body))
	k.mu.Lock()
	defer k.mu.Unlock()
	k.replies = append(k.replies, string(body))
	return response, err
}

// secrets returns the secrets in the responses, and the token.
func (k *keeper) secrets() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var found []string
	for _, reply := range k.replies {
		for _, tag := range []string{"SecretAccessKey", "SessionToken"} {
			if _, rest, ok := strings.Cut(reply, "<"+tag+">"); ok {
				secret, _, _ := strings.Cut(rest, "<")
				if len(secret) >= 16 {
					found = append(found, secret)
				}
			}
		}
	}
	return found
}

// requireSilent checks that the output does not contain any part of the secrets in any form.
func requireSilent(t *testing.T, out *output, secrets ...string) {
	t.Helper()
	text := out.String()
	require.NotEmpty(t, text)
	for _, secret := range secrets {
		require.GreaterOrEqual(t, len(secret), 16)
		for _, form := range []string{
			secret[:16], secret[len(secret)-16:],
			fmt.Sprintf("%x", secret[:16]), fmt.Sprintf("%X", secret[:16]),
			base64.StdEncoding.EncodeToString([]byte(secret))[:20],
			strings.Trim(fmt.Sprintf("%d", []byte(secret[:12])), "[]"),
		} {
			require.NotContains(t, text, form)
		}
	}
}

func TestProviderDoesNotPrintSecrets(t *testing.T) {
	t.Parallel()
	faults := []irsatest.Fault{"",
		irsatest.Throttling, irsatest.Unavailable, irsatest.InternalFailure, irsatest.IDPCommunicationError,
		irsatest.AccessDenied, irsatest.ExpiredToken, irsatest.VerificationKey, irsatest.Reset, irsatest.Hang,
		irsatest.EmptyReply, irsatest.TruncatedReply, irsatest.HTMLReply, irsatest.NoCredentials, irsatest.EmptyKeys,
		irsatest.ExpiredCredentials, irsatest.HugeReply,
	}
	for _, fault := range faults {
		t.Run("fault "+string(fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out output
				k, pod := newPod(t)
				kept := &keeper{RoundTripper: k.HTTPClient().Transport}
				client := &http.Client{Transport: kept}
				var events []irsa.Event
				p := newProvider(t, pod.Options, func(o *irsa.Options) {
					o.HTTPClient = client
					o.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
					o.Observe = func(e irsa.Event) { events = append(events, e) }
					out.print(*o)
				})
				retrieve(t, p)
				if fault != "" {
					k.STS.Fail(fault, -1)
				}
				err := p.Refresh(t.Context())
				require.Equal(t, fault != "", err != nil)
				out.print(err)
				pod.Rotate()
				time.Sleep(time.Minute)
				_, err = p.Retrieve(t.Context())
				out.print(err)
				synctest.Wait()
				out.print(p)
				out.print(reflect.ValueOf(p).Elem().Interface()) // prints a copy
				out.print(p.MinTTL(time.Minute))
				out.print(p.Status())
				out.print(p.AWSConfig())
				out.print(events)
				secrets := kept.secrets()
				require.NotEmpty(t, secrets)
				requireSilent(t, &out, append(secrets, tokenParts(pod.Token())...)...)
			})
		})
	}
}

// tokenParts returns the secret parts of a token: the payload and the signature.
func tokenParts(token string) []string {
	parts := strings.Split(token, ".")
	return []string{parts[1][len(parts[1])-40:], parts[2]}
}

func TestErrorRedactsTokenRepeatedBySTS(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reply func(token string) string
	}{
		{"the whole token", func(token string) string { return token }},
		{"its signature", func(token string) string { return strings.Split(token, ".")[2] }},
		{"its claims", func(token string) string { return strings.Split(token, ".")[1] }},
	} {
		for _, body := range []string{
			`<ErrorResponse><Error><Code>ValidationError</Code><Message>Value '%s' at 'webIdentityToken' failed</Message></Error></ErrorResponse>`,
			`<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>no provider for %s</Message></Error></ErrorResponse>`,
			`<html>%s`,
		} {
			t.Run(tt.name+" in "+body[:6], func(t *testing.T) {
				var out output
				_, pod := newPod(t)
				p := newProvider(t, pod.Options, func(o *irsa.Options) {
					o.HTTPClient = &http.Client{Transport: answer{http.StatusBadRequest, func(*http.Request) string { return fmt.Sprintf(body, tt.reply(pod.Token())) }}}
					o.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
				})
				err := p.Refresh(t.Context())
				require.Error(t, err)
				out.print(err)
				out.print(p.Status())
				requireSilent(t, &out, tokenParts(pod.Token())...)
			})
		}
	}
}

func TestErrorOmitsBrokenResponse(t *testing.T) {
	const secret = "hJ8fWq3kLm9pXz2vBn6tRy4uGd7sAe1c"
	var out output
	_, pod := newPod(t)
	p := newProvider(t, pod.Options, func(o *irsa.Options) {
		o.HTTPClient = &http.Client{Transport: answer{http.StatusOK, func(*http.Request) string {
			return "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><SecretAccessKey>" + secret + "</SecretAccessKey><Exp"
		}}}
	})
	err := p.Refresh(t.Context())
	require.ErrorContains(t, err, "TROUBLESHOOTING.md#not-sts")
	out.print(err)
	requireSilent(t, &out, secret)
}

// answer is a transport that responds with a fixed status and body.
type answer struct {
	status int
	body   func(*http.Request) string
}

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: a.status,
		Header:     http.Header{},
		Body:       io.NopCloser(strings.NewReader(a.body(r))),
		Request:    r,
	}, nil
}

func TestProviderWithSTSClientMakesOneRequestWithoutLoggingBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out output
		k, pod := newPod(t)
		p := newProvider(t, pod.Options, func(o *irsa.Options) {
			o.STS = sts.New(sts.Options{
				Region:        "us-west-2",
				HTTPClient:    k.HTTPClient(),
				Logger:        logging.NewStandardLogger(&out),
				ClientLogMode: aws.LogRequestWithBody | aws.LogResponseWithBody | aws.LogRetries,
			})
		})
		creds := retrieve(t, p)
		k.STS.Fail(irsatest.Unavailable, -1)
		k.STS.ForgetCalls()
		require.Error(t, p.Refresh(t.Context()))
		require.NoError(t, p.Close())
		assert.Equal(t, 1, k.STS.CallCount())
		fmt.Fprintln(&out, "done")
		requireSilent(t, &out, append(tokenParts(pod.Token()), creds.SecretAccessKey, creds.SessionToken)...)
	})
}

func TestTokenFormatOmitsSecrets(t *testing.T) {
	var out output
	_, pod := newPod(t)
	token, err := tokenfile.Parse(pod.Token())
	require.NoError(t, err)
	out.print(token)
	out.print(&token)
	out.print(struct{ token tokenfile.Token }{token})
	out.print([]tokenfile.Token{token})
	requireSilent(t, &out, tokenParts(pod.Token())...)
	assert.Equal(t, pod.Token(), token.Reveal())
}
