package irsa_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

// chainAnswering makes STS respond to AssumeRole with an error.
func chainAnswering(status int, code, message string) func(*broken) {
	return func(b *broken) {
		b.next = chainedRole
		peer := &echoServer{action: "AssumeRole", status: status, body: errorXML(code, message), pass: b.HTTPClient().Transport}
		b.set(func(o *irsa.Options) {
			o.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.Body == nil {
					return peer.pass.RoundTrip(r)
				}
				return peer.RoundTrip(r)
			})}
		})
	}
}

// failWith makes every request fail.
func failWith(err error) func(*broken) {
	return func(b *broken) {
		b.set(func(o *irsa.Options) {
			o.HTTPClient = &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, err })}
		})
	}
}

// unknownHost returns a client that cannot resolve any host.
func unknownHost() *http.Client {
	return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: r.URL.Hostname(), Server: "10.100.0.10:53", IsNotFound: true}}
	})}
}

// trusting sets a trust policy with the given condition on the subject, and adds its check to the
// report.
func trusting(operator, subject string) func(*broken) {
	return func(b *broken) {
		b.document = strings.NewReplacer("StringEquals", operator, b.sa.Subject(), subject).Replace(b.role.TrustPolicy())
		b.role.SetTrustPolicy(b.document)
	}
}

// answering sets an HTTP client that always returns a fixed response.
func answering(status int, body string) func(*broken) {
	return func(b *broken) {
		b.set(func(o *irsa.Options) {
			o.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
					Header: http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
				}, nil
			})}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type failingTokens struct{ err error }

func (failingTokens) Identity() string { return "shop/cart" }

func (f failingTokens) Token(context.Context) (tokenfile.Token, error) {
	return tokenfile.Token{}, f.err
}

// writes makes the application use a file with a token that is not bound to a pod, as on a developer's
// machine.
func writes(options ...func(*irsatest.TokenOptions)) func(*broken) {
	return func(b *broken) {
		file := filepath.Join(filepath.Dir(b.pod.TokenFile()), "cart-token")
		require.NoError(b, os.WriteFile(file, []byte(b.sa.Token(options...)), 0o600))
		b.env(injectedToken + "=" + file)
	}
}

// closedPort returns a URL that refuses connections.
func closedPort(t *testing.T) *url.URL {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return &url.URL{Scheme: "http", Host: listener.Addr().String()}
}

// silence returns a dialer whose connections are accepted and never answered.
func silence(t *testing.T) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, there) }()
		t.Cleanup(func() { _ = there.Close() })
		return here, nil
	}
}

func errorXML(code, message string) string {
	return `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>` + code +
		`</Code><Message>` + message + `</Message></Error><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ErrorResponse>`
}

// ownClient makes the library create its own HTTP client for the given endpoint.
func ownClient(endpoint string) func(*broken) {
	return func(b *broken) { b.set(func(o *irsa.Options) { o.Endpoint, o.HTTPClient = endpoint, nil }) }
}
