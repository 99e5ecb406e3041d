package irsa_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/tracing"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

// parrot is a peer that repeats what it received. ~ stands for it in the body and the headers.
type parrot struct {
	action string // the action that it responds to; others go to STS
	status int
	header http.Header
	body   string
	change func(secret string) string
	pass   http.RoundTripper
}

func (p *parrot) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	if form.Get("Action") != p.action {
		r.Body = io.NopCloser(bytes.NewReader(body))
		return p.pass.RoundTrip(r)
	}
	secret := form.Get("WebIdentityToken") + r.Header.Get("X-Amz-Security-Token")
	_, payload, _ := strings.Cut(secret, ".")
	if payload == "" {
		payload = secret
	}
	if p.change != nil {
		payload = p.change(payload)
	}
	header := http.Header{}
	for name, values := range p.header {
		for _, value := range values {
			header.Add(name, strings.ReplaceAll(value, "~", payload))
		}
	}
	return &http.Response{
		StatusCode: p.status, Header: header, Request: r,
		Body: io.NopCloser(strings.NewReader(strings.ReplaceAll(p.body, "~", payload))),
	}, nil
}

// everyRune returns text with something between its characters.
func everyRune(text string, n int, format string) string {
	var b strings.Builder
	for i, c := range text {
		if i%n == 0 {
			fmt.Fprintf(&b, format, c)
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

func errorBody(code, message string) string {
	return "<ErrorResponse><Error><Code>" + code + "</Code><Message>" + message + "</Message></Error><RequestId>~</RequestId></ErrorResponse>"
}

func replyBody(action, credentials string) string {
	return "<" + action + "Response><" + action + "Result><PackedPolicySize>5</PackedPolicySize>" + credentials + "</" + action + "Result></" + action + "Response>"
}

const fineCredentials = "<AccessKeyId>ASIAX</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"

// parrots are servers that repeat a secret in their response, each in a different way. The test
// sets the action.
var parrots = map[string]parrot{
	"whole, in the message": {body: errorBody("ValidationError", "Value '~' failed")},
	"its beginning":         {body: errorBody("ValidationError", "~"), change: func(s string) string { return s[:40] }},
	"its end":               {body: errorBody("AccessDenied", "~"), change: func(s string) string { return s[len(s)-12:] }},
	"its middle":            {body: errorBody("Throttling", "~"), change: func(s string) string { return s[len(s)/2 : len(s)/2+30] }},
	"wrapped":               {body: errorBody("ValidationError", "~"), change: func(s string) string { return everyRune(s, 20, "%c\n") }},
	"wrapped, in a long message": {body: errorBody("ValidationError", strings.Repeat("x", 1010)+"~"), change: func(s string) string {
		return everyRune(s, 20, "%c\n")
	}},
	"escaped for XML":             {body: errorBody("ValidationError", "~"), change: func(s string) string { return everyRune(s, 1, "&#%d;") }},
	"escaped for JSON":            {body: errorBody("ValidationError", `{"token":"~"}`), change: func(s string) string { b, _ := json.Marshal(s); return string(b) }},
	"escaped for a URL":           {body: errorBody("ValidationError", "~"), change: url.QueryEscape},
	"in CDATA":                    {body: errorBody("ValidationError", "<![CDATA[~]]>")},
	"with comments in it":         {body: errorBody("ValidationError", "~"), change: func(s string) string { return everyRune(s, 6, "%c<!-- -->") }},
	"with broken UTF-8 in it":     {body: errorBody("ValidationError", "~"), change: func(s string) string { return everyRune(s, 6, "%c\xff") }},
	"with soft hyphens in it":     {body: errorBody("ValidationError", "~"), change: func(s string) string { return everyRune(s, 16, "%c\u00ad") }},
	"as the code":                 {body: errorBody("~", "no")},
	"as a code of 60 characters":  {body: errorBody("~", "no"), change: func(s string) string { return s[:60] }},
	"in the code":                 {body: errorBody("ValidationError~", "no"), change: func(s string) string { return s[:12] }},
	"an error like that of S3":    {body: "<Error><Code>~</Code><Message>~</Message></Error>"},
	"as the request ID":           {body: errorBody("ValidationError", "no"), header: http.Header{"X-Amzn-Requestid": {"~"}}},
	"as a request ID of 36":       {body: errorBody("ValidationError", "no"), header: http.Header{"X-Amzn-Requestid": {"~"}}, change: func(s string) string { return s[:36] }},
	"in headers":                  {body: errorBody("ValidationError", "no"), header: http.Header{"Date": {"~"}, "Retry-After": {"~"}, "X-Amz-Retry-After": {"~"}, "Server": {"~"}, "Age": {"~"}, "Content-Encoding": {"~"}, "~": {"~"}}},
	"in a redirect":               {header: http.Header{"Location": {"https://elsewhere.example/?token=~"}}},
	"in a redirect to nowhere":    {header: http.Header{"Location": {"https://[~"}}},
	"HTML":                        {body: "<html><body>~<br></body></html>"},
	"plain":                       {body: "~"},
	"JSON":                        {body: `{"__type":"~","message":"~"}`},
	"an element's name":           {body: "<~>", change: func(s string) string { return "a" + strings.Trim(s, "=") }},
	"a root element's name":       {body: "<~></~>", change: func(s string) string { return "a" + strings.Trim(s, "=+/") }},
	"before a child element":      {body: "<Credentials>" + fineCredentials + "<expiration>~<x/></expiration></Credentials>"},
	"an attribute":                {body: "<ErrorResponse a='~'><Error b='~'>"},
	"cut off":                     {body: "<ErrorResponse><Error><Code>ValidationError</Code><Message>~"},
	"nothing but a header":        {header: http.Header{"X-Amzn-Requestid": {"~"}}},
	"as the expiry":               {body: "<Credentials>" + fineCredentials + "<Expiration>~</Expiration></Credentials>"},
	"as an expiry in small print": {body: "<Credentials>" + fineCredentials + "<expiration>~</expiration></Credentials>"},
	"as an escaped expiry":        {body: "<Credentials>" + fineCredentials + "<expiration>~</expiration></Credentials>", change: func(s string) string { return everyRune(s, 1, "&#%d;") }},
	"as a number":                 {body: "<packedPolicySize>~</packedPolicySize><Credentials>" + fineCredentials + "<Expiration>2000-01-01T01:00:00Z</Expiration></Credentials>"},
	"as the access key":           {body: "<Credentials><AccessKeyId>~</AccessKeyId><SecretAccessKey></SecretAccessKey><SessionToken>t</SessionToken><Expiration>2000-01-01T01:00:00Z</Expiration></Credentials>"},
	"as the role":                 {body: "<AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/~/x</Arn></AssumedRoleUser><Credentials>" + fineCredentials + "<Expiration>2099-01-01T01:00:00Z</Expiration></Credentials>"},
}

// statusesFor returns 403, 200, and others in an order that depends on the name, so that all of
// them are tried with one name or another.
func statusesFor(name string) []int {
	others := []int{302, 500, 400, 204, 429, 308, 202, 206, 301, 303, 304, 307, 401, 404, 405, 407, 413, 502, 503, 504, 599}
	first := len(name) % len(others)
	return slices.Concat([]int{403, 200}, others[first:], others[:first])
}

func TestErrorLogAndSpanContainNoRepeatedSecrets(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"AssumeRoleWithWebIdentity", "AssumeRole"} {
		for name, peer := range parrots {
			t.Run(action+" "+name, func(t *testing.T) {
				stage := newStage(t)
				for i, status := range statusesFor(name)[:testsize.Choose(2, 4, 8)] {
					peer := peer
					peer.action, peer.status = action, status
					if status < 300 && strings.HasPrefix(peer.body, "<Credentials>") || strings.HasPrefix(peer.body, "<A") || strings.HasPrefix(peer.body, "<p") {
						peer.body = replyBody(action, peer.body)
					}
					stage.check(t, peer, true)
					if i < testsize.Choose(0, 2, 2) {
						stage.check(t, peer, false)
					}
				}
			})
		}
	}
}

// stage is a cluster with a pod and a chain of two roles.
type stage struct {
	k      *irsatest.Cluster
	pod    *irsatest.Pod
	second *irsatest.Role
}

func newStage(t testing.TB) *stage {
	k := newCluster(t)
	sa := k.ServiceAccount("shop", "cart")
	first := k.Role("first", irsatest.Trust(sa))
	return &stage{k, k.Pod(sa, first), k.Role("second", irsatest.Trust(first))}
}

// check makes an exchange with a peer that repeats secrets and searches all output for them. It
// uses a custom STS client if own is set.
func (s *stage) check(t *testing.T, peer parrot, own bool) {
	t.Helper()
	var out output
	peer.pass = s.k.HTTPClient().Transport
	p := newProvider(t, s.pod.Options, func(o *irsa.Options) {
		o.HTTPClient = &http.Client{Transport: &peer}
		o.TracerProvider = printedSpans{&out}
		o.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Observe = func(e irsa.Event) { fmt.Fprintf(&out, "%+v\n", e) }
		if own {
			o.STS = sts.New(sts.Options{
				Region: "us-west-2", HTTPClient: o.HTTPClient, TracerProvider: o.TracerProvider,
				Logger: logging.NewStandardLogger(&out), ClientLogMode: ^aws.ClientLogMode(0),
			})
		}
	})
	derived, err := p.AssumeRole(s.second.ARN())
	require.NoError(t, err)
	secrets := tokenParts(s.pod.Token())
	if peer.action == "AssumeRole" {
		creds := retrieve(t, p)
		secrets = append(secrets, creds.SecretAccessKey, creds.SessionToken)
		p = derived
	}
	err = p.Refresh(t.Context())
	out.print(err)
	if err != nil {
		out.diff(err)
	}
	out.print(p.Status())
	require.NoError(t, p.Close())
	if run := leaked(out.String(), secrets); run != "" {
		require.Fail(t, "a secret is printed", "HTTP %d, own client %t: %q in\n%s", peer.status, own, run, &out)
	}
}

// diff prints what testify shows of two errors that differ: their fields, by reflection.
func (o *output) diff(err error) {
	var typed *irsa.Error
	if errors.As(err, &typed) {
		assert.Equal(failures{o}, irsa.Error{}, *typed)
		assert.Equal(failures{o}, &irsa.Error{}, typed)
	}
}

// failures is a testing.T that prints failures.
type failures struct{ io.Writer }

func (f failures) Errorf(format string, args ...any) { fmt.Fprintf(f, format, args...) }

// leaked returns 12 consecutive characters of a secret in text, or "" if there are none.
func leaked(text string, secrets []string) string {
	const run = 12
	runs := map[string]bool{}
	for _, secret := range secrets {
		for i := 0; i+run <= len(secret); i++ {
			runs[secret[i:i+run]] = true
		}
	}
	for i := 0; i+run <= len(text); i++ {
		if runs[text[i:i+run]] {
			return text[i : i+run]
		}
	}
	return ""
}

// printedSpans is a TracerProvider, a Tracer and a Span that prints everything, like an
// OpenTelemetry exporter.
type printedSpans struct{ out *output }

func (s printedSpans) Tracer(scope string, _ ...tracing.TracerOption) tracing.Tracer {
	s.out.print(scope)
	return s
}

func (s printedSpans) StartSpan(ctx context.Context, name string, optFns ...tracing.SpanOption) (context.Context, tracing.Span) {
	var o tracing.SpanOptions
	for _, fn := range optFns {
		fn(&o)
	}
	s.out.print(name)
	s.out.print(o)
	return tracing.WithSpan(ctx, s), s
}

func (s printedSpans) AddEvent(name string, optFns ...tracing.EventOption) {
	var o tracing.EventOptions
	for _, fn := range optFns {
		fn(&o)
	}
	s.out.print(name)
	s.out.print(o)
}

func (s printedSpans) Name() string                 { return "" }
func (s printedSpans) Context() tracing.SpanContext { return tracing.SpanContext{} }
func (s printedSpans) SetStatus(tracing.SpanStatus) {}
func (s printedSpans) SetProperty(k, v any)         { fmt.Fprintf(s.out, "%v=%v %+v\n", k, v, v) }
func (s printedSpans) End()                         {}

func FuzzRedaction(f *testing.F) {
	for _, peer := range parrots {
		for _, status := range []int{200, 403} {
			header, _ := json.Marshal(peer.header)
			f.Add(uint16(status), header, peer.body, uint16(0), uint16(1000), uint8(0), "")
			f.Add(uint16(status), header, peer.body, uint16(3), uint16(33), uint8(7), "&#10;")
		}
	}
	stage := newStage(f)
	f.Fuzz(func(t *testing.T, status uint16, header []byte, body string, from, to uint16, every uint8, between string) {
		peer := parrot{action: "AssumeRoleWithWebIdentity", status: 200 + int(status%400), body: body}
		_ = json.Unmarshal(header, &peer.header)
		peer.change = func(secret string) string {
			from := int(from) % len(secret)
			secret = secret[from:min(len(secret), from+int(to))]
			if every > 0 {
				var b strings.Builder
				for part := range slices.Chunk([]byte(secret), int(every)) {
					b.Write(part)
					b.WriteString(between)
				}
				secret = b.String()
			}
			return secret
		}
		stage.check(t, peer, false)
	})
}

// The errors and panics of a token source can contain the token.
func TestErrorOfTokenSourceContainsNoToken(t *testing.T) {
	for name, text := range map[string]func(token string) string{
		"whole":   func(token string) string { return "cannot use " + token + " here" },
		"cut":     func(token string) string { return "cannot use " + token[:len(token)/2] },
		"quoted":  func(token string) string { return fmt.Sprintf("cannot use %q", "Bearer "+token) },
		"payload": func(token string) string { return "payload " + strings.Split(token, ".")[1] },
		"wrapped": func(token string) string {
			var b strings.Builder
			for line := range slices.Chunk([]byte(token), 64) {
				fmt.Fprintf(&b, "%s\n  ", line)
			}
			return b.String()
		},
	} {
		for _, panics := range []bool{false, true} {
			for _, known := range []bool{false, true} {
				inBubble(t, fmt.Sprintf("%s, panics %t, known %t", name, panics, known), func(t *testing.T) {
					var out output
					_, pod := newPod(t)
					calls := 0
					p := newProvider(t, pod.Options, func(o *irsa.Options) {
						o.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
						o.Observe = func(e irsa.Event) { fmt.Fprintf(&out, "%+v\n", e) }
						o.TokenFile, o.Token = "", irsa.TokenFunc("test", func(context.Context) (tokenfile.Token, error) {
							if calls++; known && calls == 1 {
								return tokenfile.Parse(pod.Token())
							}
							err := fmt.Errorf("%s: %w", text(pod.Token()), context.DeadlineExceeded)
							if panics {
								panic(err)
							}
							return tokenfile.Token{}, err
						})
					})
					if known {
						retrieve(t, p)
					}
					err := p.Refresh(t.Context())
					require.ErrorIs(t, err, irsa.ErrTokenFile)
					require.ErrorContains(t, err, "[redacted]")
					if !panics {
						require.ErrorIs(t, err, context.DeadlineExceeded)
					}
					out.print(err)
					out.diff(err)
					require.NoError(t, p.Close())
					require.Empty(t, leaked(out.String(), tokenParts(pod.Token())))
				})
			}
		}
	}
}

func TestErrorOfTokenSourceIsBounded(t *testing.T) {
	huge := strings.Repeat("no token ", 1<<20)
	for _, panics := range []bool{false, true} {
		inBubble(t, fmt.Sprintf("panics %t", panics), func(t *testing.T) {
			_, pod := newPod(t)
			p := newProvider(t, pod.Options, func(o *irsa.Options) {
				o.TokenFile, o.Token = "", irsa.TokenFunc("test", func(context.Context) (tokenfile.Token, error) {
					if panics {
						panic(huge)
					}
					return tokenfile.Token{}, fmt.Errorf("%s: %w", huge, context.DeadlineExceeded)
				})
			})
			err := p.Refresh(t.Context())
			require.ErrorIs(t, err, irsa.ErrTokenFile)
			assert.Less(t, len(err.Error()), 4<<10)
			assert.Equal(t, !panics, errors.Is(err, context.DeadlineExceeded))
		})
	}
}

func TestErrorOfPanickingClientContainsNoToken(t *testing.T) {
	var out output
	_, pod := newPod(t)
	p := newProvider(t, pod.Options, func(o *irsa.Options) {
		o.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			panic(string(body))
		})}
	})
	err := p.Refresh(t.Context())
	require.ErrorContains(t, err, "panicked")
	out.print(err)
	out.diff(err)
	require.Empty(t, leaked(out.String(), tokenParts(pod.Token())))
}

func TestTokenIsNotPrintedInDiffs(t *testing.T) {
	var out output
	_, pod := newPod(t)
	one, err := tokenfile.Parse(pod.Token())
	require.NoError(t, err)
	other, err := tokenfile.Parse(pod.Token() + "AAAA")
	require.NoError(t, err)
	again, err := tokenfile.Parse(pod.Token())
	require.NoError(t, err)
	assert.Equal(failures{&out}, one, other)
	assert.Equal(failures{&out}, &one, &other)
	assert.Equal(failures{&out}, []tokenfile.Token{one}, []tokenfile.Token{other})
	assert.Equal(failures{&out}, struct{ token tokenfile.Token }{one}, struct{ token tokenfile.Token }{other})
	require.NotEmpty(t, out.String())
	require.Empty(t, leaked(out.String(), tokenParts(pod.Token())))
	assert.Equal(t, one, again, "equal tokens are equal")
}

// The session tokens of MinIO and Dex look like web identity tokens.
func TestProviderAcceptsJWTAsSessionToken(t *testing.T) {
	_, pod := newPod(t)
	var document bytes.Buffer
	require.NoError(t, xml.EscapeText(&document, []byte(pod.Token())))
	expiry := "<Expiration>2099-01-01T00:00:00Z</Expiration>"
	body := replyBody("AssumeRoleWithWebIdentity", "<Credentials><AccessKeyId>AK</AccessKeyId><SecretAccessKey>sk</SecretAccessKey><SessionToken>"+document.String()+"</SessionToken>"+expiry+"</Credentials>")
	p := newProvider(t, pod.Options, func(o *irsa.Options) {
		o.HTTPClient = &http.Client{Transport: answer{http.StatusOK, func(*http.Request) string { return body }}}
	})
	assert.Equal(t, pod.Token(), retrieve(t, p).SessionToken)
}

// inBubble runs a subtest in simulated time.
func inBubble(t *testing.T, name string, test func(*testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}
