package exchange

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/tokenfile"
)

// client is an HTTP client implemented by a function.
type client func(*http.Request) (*http.Response, error)

func (c client) Do(r *http.Request) (*http.Response, error) { return c(r) }

// brokenOff returns a body that ends with an error.
func brokenOff(text string, err error) io.Reader {
	return io.MultiReader(strings.NewReader(text), readerFunc(func([]byte) (int, error) { return 0, err }))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// testToken is a JWT with an invalid signature.
const testToken = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6c2hvcDpjYXJ0In0.c2lnbmF0dXJl"

// exchangeWith makes one exchange with the settings in c. It returns the facts that determine the
// advice, and the error.
func exchangeWith(t *testing.T, c config.Config) (explain.Facts, error) {
	t.Helper()
	c.RoleARN = "arn:aws:iam::111122223333:role/r"
	c.Token = &config.TokenFunc{Name: "test", Call: func(context.Context) (tokenfile.Token, error) { return tokenfile.Parse(testToken) }}
	x := WebIdentity{State: &State{}, Config: &c, Client: NewClient(&c, 0)}
	defer x.Client.CloseIdleConnections()
	_, err := x.Retrieve(t.Context())
	require.Error(t, err)
	f := explain.Facts{Kind: explain.Kind(err, ""), Err: err, RoleARN: c.RoleARN, Region: c.Region, Claims: x.UsedToken.Load().Claims(), Now: time.Now()}
	var failure *explain.RequestError
	if errors.As(err, &failure) {
		f.Code = failure.Code
	}
	return f, err
}

// Kind, text and link depend only on the response, so they are the same with every SDK version.
func TestResponseIsClassifiedByStatusAndBody(t *testing.T) {
	const page = "<html><body>Sign in<br></body></html>"
	const wrapped = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
	reply := func(body string) string {
		return "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>" + body
	}
	for _, tt := range []struct {
		name   string
		status int
		body   io.Reader
		kind   error
		code   string
		text   string
		link   explain.Heading
	}{
		{"empty 200", 200, strings.NewReader(""), explain.ErrUnavailable, "", "the response contains no credentials: it is not from STS", explain.HeadingNotSTS},
		{"page", 200, strings.NewReader(page), explain.ErrUnavailable, "", "the response contains no credentials: it is not from STS", explain.HeadingNotSTS},
		{"cut XML", 200, strings.NewReader(reply("<Credentials><SecretAccessKey>secret")), explain.ErrUnavailable, "", "the response contains no credentials: it is not from STS", explain.HeadingNotSTS},
		{"JSON 200", 200, strings.NewReader(`{"AssumeRoleResponse":{}}`), explain.ErrUnavailable, "", "the response contains no credentials: it is not from STS", explain.HeadingNotSTS},
		{"204", 204, strings.NewReader(""), explain.ErrUnavailable, "", "the response contains no credentials: it is not from STS", explain.HeadingNotSTS},
		{"broken off 200", 200, brokenOff(reply("<Cred"), io.ErrUnexpectedEOF), explain.ErrUnavailable, "", "the response cannot be read: unexpected EOF", explain.HeadingConnection},
		{"reset in the body", 200, brokenOff("", &net.OpError{Op: "read", Err: syscall.ECONNRESET}), explain.ErrUnavailable, "", "the response cannot be read: read: connection reset by peer", explain.HeadingConnection},
		{"hang in the body", 200, brokenOff(reply("<Cred"), context.DeadlineExceeded), explain.ErrUnavailable, "", "no response in time: context deadline exceeded", explain.HeadingTimeout},
		{"long 200", 200, strings.NewReader(reply(strings.Repeat(" ", maxReply))), explain.ErrUnavailable, "", "response larger than 262144 bytes", explain.HeadingNotSTS},
		{"redirect", 302, strings.NewReader(page), explain.ErrUnavailable, "", "error response without a code (HTTP 302)", explain.HeadingNotSTS},
		{"empty 405", 405, strings.NewReader(""), explain.ErrUnavailable, "", "error response without a code (HTTP 405)", explain.HeadingNotSTS},
		{"empty 403", 403, strings.NewReader(""), explain.ErrUnavailable, "", "error response without a code (HTTP 403)", explain.HeadingNotSTS},
		{"page 502", 502, strings.NewReader(page), explain.ErrUnavailable, "", "error response without a code (HTTP 502)", explain.HeadingSTSUnavailable},
		{"JSON 403", 403, strings.NewReader(`{"message":"Forbidden"}`), explain.ErrUnavailable, "", "error response without a code (HTTP 403)", explain.HeadingNotSTS},
		{"page 429", 429, strings.NewReader(page), explain.ErrThrottled, "", "error response without a code (HTTP 429)", explain.HeadingThrottled},
		{"STS", 403, strings.NewReader(wrapped), explain.ErrAccessDenied, "AccessDenied", "AccessDenied: no (HTTP 403)", explain.HeadingAccessDenied},
		{"STS, indented", 403, strings.NewReader(regexp.MustCompile(`<(Code|Message)>(\w+)`).ReplaceAllString(wrapped, "<$1>\n  $2\n")), explain.ErrAccessDenied, "AccessDenied", "AccessDenied: no (HTTP 403)", explain.HeadingAccessDenied},
		{"STS, broken off after its code", 403, brokenOff(wrapped[:strings.Index(wrapped, "<Message>")], io.ErrUnexpectedEOF), explain.ErrAccessDenied, "AccessDenied", "AccessDenied (HTTP 403)", explain.HeadingAccessDenied},
		{"broken off before the code", 403, brokenOff(wrapped[:20], io.ErrUnexpectedEOF), explain.ErrUnavailable, "", "the response cannot be read: unexpected EOF", explain.HeadingConnection},
		{"S3", 405, strings.NewReader("<Error><Code>MethodNotAllowed</Code><Message>not here</Message></Error>"), explain.ErrUnavailable, "MethodNotAllowed", "MethodNotAllowed: not here (HTTP 405)", explain.HeadingNotSTS},
		{"long error", 400, strings.NewReader(wrapped + strings.Repeat(" ", 10*maxErrorBody)), explain.ErrAccessDenied, "AccessDenied", "AccessDenied: no (HTTP 400)", explain.HeadingAccessDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := exchangeWith(t, config.Config{Region: "us-west-2", Shared: &config.Shared{HTTPClient: client(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: tt.status, Header: http.Header{"X-Amzn-Requestid": {"id-1"}}, Body: io.NopCloser(tt.body), Request: r}, nil
			})}})
			assert.Equal(t, tt.kind, f.Kind)
			assert.Equal(t, tt.code, f.Code)
			assert.Equal(t, tt.text, err.Error())
			assert.Equal(t, tt.link, explain.For(f).Heading)
			assert.NotContains(t, err.Error(), "SDK")
			var api smithy.APIError
			if errors.As(err, &api) {
				assert.Equal(t, tt.code, api.ErrorCode())
			}
			assert.Equal(t, tt.code != "", errors.As(err, &api), "the code can be found with errors.As")
			if tt.status >= 300 {
				var failure *explain.RequestError
				require.ErrorAs(t, err, &failure)
				assert.Equal(t, "id-1", failure.RequestID)
			}
		})
	}
}

// causes is an error of a type that cannot be compared.
type causes []error

func (causes) Error() string     { return "all attempts failed" }
func (c causes) Unwrap() []error { return c }

func TestFailureWithoutResponseIsClassifiedByClientError(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		text string
		link explain.Heading
	}{
		{"refused", &url.Error{Op: "Post", URL: "https://sts", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}, "dial: connection refused", explain.HeadingConnection},
		{"name", &url.Error{Op: "Post", URL: "https://sts", Err: &net.DNSError{Err: "no such host", Name: "sts"}}, "lookup sts: no such host", explain.HeadingNameResolution},
		{"hang", &url.Error{Op: "Post", URL: "https://sts", Err: context.DeadlineExceeded}, "no response in time: context deadline exceeded", explain.HeadingTimeout},
		{"custom", errors.New("quota"), "quota", explain.HeadingConnection},
		{"incomparable", &url.Error{Op: "Post", URL: "https://sts", Err: causes{io.ErrUnexpectedEOF}}, "all attempts failed", explain.HeadingConnection},
		{"secret", errors.New("cannot send " + testToken), "cannot send [redacted]", explain.HeadingConnection},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := exchangeWith(t, config.Config{Region: "us-west-2", Shared: &config.Shared{HTTPClient: client(func(*http.Request) (*http.Response, error) { return nil, tt.err })}})
			assert.Equal(t, explain.ErrUnavailable, f.Kind)
			assert.Equal(t, tt.text, err.Error())
			assert.Equal(t, tt.link, explain.For(f).Heading)
			assert.Equal(t, tt.name != "secret", errors.Is(err, tt.err), "the cause can be found with errors.Is")
		})
	}
}

func TestFailureOfClientWithoutRegion(t *testing.T) {
	f, err := exchangeWith(t, config.Config{Shared: &config.Shared{STS: sts.New(sts.Options{})}})
	assert.ErrorIs(t, err, explain.ErrNoRegion)
	assert.Equal(t, explain.HeadingRegion, explain.For(f).Heading)
}

// mock is an STS client that does not make requests.
type mock struct{ err error }

func (m mock) AssumeRoleWithWebIdentity(context.Context, *sts.AssumeRoleWithWebIdentityInput, ...func(*sts.Options)) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	return nil, m.err
}

func TestFailureOfMockIsClassifiedBySDKError(t *testing.T) {
	for _, tt := range []struct {
		status             int
		code, message      string
		kind               error
		wantCode, wantText string
	}{
		{403, "AccessDenied", "no", explain.ErrAccessDenied, "AccessDenied", "AccessDenied: no (HTTP 403)"},
		{403, "AccessDenied", testToken[25:50], explain.ErrAccessDenied, "AccessDenied", "AccessDenied: [redacted] (HTTP 403)"},
		{429, unknownCode, "", explain.ErrThrottled, "", "error response without a code (HTTP 429)"},
		{504, unknownCode, "", explain.ErrUnavailable, "", "error response without a code (HTTP 504)"},
		{400, "two words", "", explain.ErrUnavailable, "", "error response without a code (HTTP 400)"},
	} {
		f, err := exchangeWith(t, config.Config{Shared: &config.Shared{STS: mock{&smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRoleWithWebIdentity", Err: &awshttp.ResponseError{
			ResponseError: &smithyhttp.ResponseError{
				Response: &smithyhttp.Response{Response: &http.Response{StatusCode: tt.status}},
				Err:      &smithy.GenericAPIError{Code: tt.code, Message: tt.message},
			},
		}}}}})
		assert.Equal(t, tt.kind, f.Kind)
		assert.Equal(t, tt.wantCode, f.Code)
		assert.Equal(t, tt.wantText, err.Error())
		hasRequest := errors.As(err, new(*smithyhttp.ResponseError))
		assert.False(t, hasRequest, "it contains the request")
		for ; err != nil; err = errors.Unwrap(err) {
			assert.NotContains(t, err.Error(), testToken[25:37])
		}
	}
}

func TestIsAboutTime(t *testing.T) {
	for _, tt := range []struct {
		code, message string
		want          bool
	}{
		{"RequestExpired", "", true},
		{"RequestExpiredException", "", true},
		{"SignatureDoesNotMatch", "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z", true},
		{"InvalidSignatureException", "Signature not yet current: 20260101T000500Z is still later than 20260101T000000Z", true},
		{"InvalidSignatureException", "The request signature we calculated does not match", false},
		{"ExpiredToken", "", false},
	} {
		assert.Equal(t, tt.want, isAboutTime(tt.code, tt.message), tt)
	}
}
