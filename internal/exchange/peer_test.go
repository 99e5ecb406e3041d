package exchange

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/tokenfile"
)

// respond starts a server that responds to each request with text, which need not be HTTP. It returns
// the server's URL and the headers of its requests.
func respond(t *testing.T, text string) (endpoint string, requests <-chan http.Header) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, listener.Close()) })
	headers := make(chan http.Header, 10)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			if request, err := http.ReadRequest(bufio.NewReader(connection)); err == nil {
				_, _ = io.Copy(io.Discard, request.Body)
				headers <- request.Header
				_, _ = io.WriteString(connection, text)
			}
			_ = connection.Close()
		}
	}()
	return "http://" + listener.Addr().String(), headers
}

// exchangeAt makes one exchange with the server at endpoint.
func exchangeAt(t *testing.T, endpoint string, client aws.HTTPClient) (aws.Credentials, error) {
	t.Helper()
	return exchangeOf(t, endpoint, &config.Shared{HTTPClient: client}, 0).Retrieve(t.Context())
}

// exchangeOf returns an exchange with the server at endpoint over up to conns connections.
func exchangeOf(t *testing.T, endpoint string, shared *config.Shared, conns int) *WebIdentity {
	t.Helper()
	u, err := url.Parse(endpoint)
	require.NoError(t, err)
	c := config.Config{
		RoleARN: "arn:aws:iam::111122223333:role/r", Region: "us-west-2", Shared: shared,
		Endpoint: &smithyendpoints.Endpoint{URI: *u, Headers: http.Header{}},
		Token:    &config.TokenFunc{Name: "test", Call: func(context.Context) (tokenfile.Token, error) { return tokenfile.Parse(testToken) }},
	}
	return &WebIdentity{State: &State{}, Config: &c, Client: NewClient(&c, conns)}
}

// success returns the body of a successful response with a role's ARN and keys.
func success(arn, secret, session string) string {
	return fmt.Sprintf("<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><AssumedRoleUser><Arn>%s</Arn></AssumedRoleUser>"+
		"<Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration>"+
		"</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>", arn, secret, session, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}

// reply returns a response with a body of the given length.
func reply(status, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

const goodARN = "arn:aws:sts::111122223333:assumed-role/r/session"

func TestRetrieveErrorOmitsKeysOfMalformedResponse(t *testing.T) {
	const secret, session = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2VjEXAMPLETOKEN"
	keys := success(goodARN, secret, session)
	for name, text := range map[string]string{
		"no blank line":     "HTTP/1.1 200 OK\r\n" + keys + "\r\n\r\n",
		"no status line":    keys + "\r\n\r\n",
		"status":            "HTTP/1.1 " + keys + "\r\n\r\n",
		"version":           "HTTP/" + keys + " 200 OK\r\n\r\n",
		"103":               "HTTP/1.1 103 Early Hints\r\n" + keys + "\r\n\r\n",
		"Content-Length":    "HTTP/1.1 200 OK\r\nContent-Length: " + keys + "\r\n\r\n",
		"Transfer-Encoding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + keys + "\r\n\r\n",
		"Location":          "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: :" + keys + "\r\n\r\n",
		"chunk":             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + keys + "\r\n\r\n",
		"trailer":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n0\r\n" + keys + "\r\n\r\n",
		"proxy address":     "HTTP/1.1 200 OK\r\ninvalid proxy address " + keys + "\r\n\r\n",
	} {
		endpoint, _ := respond(t, text)
		for _, client := range []aws.HTTPClient{nil, &http.Client{}} {
			_, err := exchangeAt(t, endpoint, client)
			require.Error(t, err, name)
			assert.NotErrorIs(t, err, explain.ErrProxyAddress, name)
			for ; err != nil; err = errors.Unwrap(err) {
				for _, printed := range []string{fmt.Sprintf("%v", err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
					assert.NotContains(t, printed, secret[:12], name)
					assert.NotContains(t, printed, session[:12], name)
				}
			}
		}
	}
}

// net/http logs what a server sends after its response on a kept-alive connection.
func TestClientClosesConnectionsForSingleProvider(t *testing.T) {
	endpoint, requests := respond(t, reply("200 OK", success(goodARN, "secret", "session"))+"the new keys")
	_, err := exchangeAt(t, endpoint, nil)
	require.NoError(t, err)
	assert.Equal(t, "close", (<-requests).Get("Connection"))
}

// net/http uses a proxy for a loopback address only if the program sets the proxy itself.
func TestRetrieveNeverSendsTokenToProxyInCleartext(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, success(goodARN, "secret", "session"))
	}))
	defer proxy.Close()
	for host, refused := range map[string]bool{"127.0.0.1": false, "proxy.example": true} {
		var dialed atomic.Int32
		base := awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
			tr.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: host + ":3128"})
			tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
				dialed.Add(1)
				return new(net.Dialer).DialContext(ctx, network, proxy.Listener.Addr().String())
			}
		})
		for _, client := range []aws.HTTPClient{base, &http.Client{Transport: base.GetTransport()}} {
			dialed.Store(0)
			_, err := exchangeAt(t, "http://localhost:4566", client)
			if refused {
				require.ErrorIs(t, err, explain.ErrCleartext)
				assert.ErrorContains(t, err, "the connection to http://localhost:4566 goes through the proxy proxy.example:3128")
				assert.Contains(t, explain.Setting(explain.HeadingEndpoint, explain.Facts{Err: err}).Text, "exclude loopback addresses in the Proxy function")
				assert.Zero(t, dialed.Load())
			} else {
				require.NoError(t, err)
			}
			_, err = exchangeOf(t, "http://localhost:4566", &config.Shared{HTTPClient: client, InsecureEndpoint: true}, 0).Retrieve(t.Context())
			require.NoError(t, err)
		}
	}
}

// following is a transport that follows redirects, as some libraries' transports do.
type following struct{}

func (following) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	again, err := http.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(again)
}

func TestRetrieveRejectsRedirectFollowedByTransport(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, success(goodARN, "secret", "session"))
	}))
	defer other.Close()
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect} {
		server := httptest.NewServer(http.RedirectHandler(other.URL, status))
		defer server.Close()
		_, err := exchangeAt(t, server.URL, &http.Client{Transport: following{}})
		assert.ErrorIs(t, err, errRedirected)
	}
}

func TestRetrieveRejectsResponseWithoutValidStatus(t *testing.T) {
	endpoint, _ := respond(t, reply("000 Odd", "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"))
	_, err := exchangeAt(t, endpoint, nil)
	require.ErrorIs(t, err, explain.ErrNotSTS)
	assert.False(t, isError[*smithyhttp.ResponseError](err))
}

func TestRetrieveRejectsUnprintableKeys(t *testing.T) {
	for _, keys := range [][2]string{{"se\ncret", "session"}, {"secret", "ses\n  sion"}, {" secret", "session"}, {"secret", "sessi\u00f6n"}} {
		endpoint, _ := respond(t, reply("200 OK", success(goodARN, keys[0], keys[1])))
		_, err := exchangeAt(t, endpoint, nil)
		assert.ErrorIs(t, err, errUnusable, keys)

		endpoint, _ = respond(t, reply("200 OK", strings.ReplaceAll(success(goodARN, keys[0], keys[1]), "RoleWithWebIdentity", "Role")))
		u, err := url.Parse(endpoint)
		require.NoError(t, err)
		c := config.Config{RoleARN: "arn:aws:iam::111122223333:role/r", Region: "us-west-2", Shared: &config.Shared{}, Endpoint: &smithyendpoints.Endpoint{URI: *u}}
		input := &sts.AssumeRoleInput{RoleArn: aws.String(c.RoleARN), RoleSessionName: aws.String("session"), DurationSeconds: aws.Int32(3600)}
		source := Signer{Credentials: aws.Credentials{AccessKeyID: "ASIASOURCE", SecretAccessKey: "source-secret-key", SessionToken: "source"}}
		_, err = NewClient(&c, 0).AssumeRole(t.Context(), &c, new(State), input, source)
		assert.ErrorIs(t, err, errUnusable, keys)
	}
}

func TestRetrieveUsesAccountOnlyFromVerifiedARN(t *testing.T) {
	for arn, want := range map[string]string{
		goodARN: "111122223333",
		"arn:aws:sts:us-west-2:999988887777:assumed-role/other/s": "",
		"arn:aws:iam::999988887777:role/other":                    "",
		"arn:aws:sts::9999:assumed-role/other/s":                  "",
	} {
		endpoint, _ := respond(t, reply("200 OK", success(arn, "secret", "session")))
		creds, err := exchangeAt(t, endpoint, nil)
		require.NoError(t, err)
		assert.Equal(t, want, creds.AccountID, arn)
	}
}

// If one tenant's host is unreachable, other tenants must keep their connections.
func TestTransportReplacesOnlyFailedHostConnections(t *testing.T) {
	dialed := map[string]int{}
	endpoint, _ := respond(t, "")
	good := httptest.NewServer(http.NotFoundHandler())
	defer good.Close()
	client := newHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
		tr.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			dialed[address]++
			return new(net.Dialer).DialContext(ctx, network, address)
		}
	}), 1)
	for range 5 {
		for _, target := range []string{good.URL, endpoint} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, nil)
			require.NoError(t, err)
			response, err := client.Do(request)
			assert.Equal(t, target == good.URL, err == nil, "%v", err)
			if err == nil {
				_, err = io.Copy(io.Discard, response.Body)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
			}
		}
	}
	client.CloseIdleConnections()
	assert.Equal(t, map[string]int{good.Listener.Addr().String(): 1, strings.TrimPrefix(endpoint, "http://"): 5}, dialed)
}
