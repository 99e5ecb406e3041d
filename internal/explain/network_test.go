package explain

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/tokenfile"
)

func TestRuleForNetworkDependsOnError(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want Heading
	}{
		{&ProxyError{"proxy.example", "403 Forbidden"}, HeadingProxy},
		{ErrProxyAddress, HeadingProxy},
		{&net.OpError{Op: "proxyconnect", Err: syscall.ECONNREFUSED}, HeadingProxy},
		{&net.OpError{Op: "socks connect", Err: errors.New("username/password authentication failed")}, HeadingProxy},
		{&net.DNSError{Err: "no such host", Name: "sts.example", IsNotFound: true}, HeadingNameResolution},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, HeadingConnection},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, HeadingConnection},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EPERM)}, HeadingConnection}, // by an eBPF network policy
		{context.DeadlineExceeded, HeadingTimeout},
		{x509.CertificateInvalidError{Reason: x509.Expired}, HeadingClock},
		{x509.HostnameError{Certificate: &x509.Certificate{}, Host: "sts.example"}, HeadingTLS},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, HeadingTLS},
		{http.ErrSchemeMismatch, HeadingTLS},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, HeadingTLS},
		{&net.OpError{Op: "proxyconnect", Err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}}, HeadingTLS},
		{&net.OpError{Op: "proxyconnect", Err: &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}}, HeadingClock},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")}, HeadingTLS},
		{errors.New("quota"), HeadingConnection},
		{&http.MaxBytesError{Limit: 1}, HeadingNotSTS},
		{ErrNotSTS, HeadingNotSTS},
		{ErrClock, HeadingClock},
		{ErrNoRegion, HeadingRegion},
		{&RequestError{Status: 200, Text: "quota", Err: errors.Join(errors.New("quota"), ErrOwnClient)}, HeadingTokenSource},
		{&RequestError{Text: "it panicked: a", Err: fmt.Errorf("it %w: a", ErrPanic)}, HeadingTokenSource},
	} {
		a := For(Facts{Kind: ErrUnavailable, Err: tt.err, Region: "us-west-2"})
		assert.Equal(t, tt.want, a.Heading, tt.err)
		assert.NotEmpty(t, a.Text)
		assert.False(t, Permanent(tt.err), tt.err)
	}
}

// AWS_CA_BUNDLE replaces the system's authorities, also for hosts that the proxy does not intercept.
func TestRuleForInterceptedTLSKeepsPublicAuthorities(t *testing.T) {
	a := For(Facts{Kind: ErrUnavailable, Err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, Region: "us-west-2"})
	assert.Contains(t, a.Text, "set AWS_CA_BUNDLE to a file with the proxy's CA certificate and the public ones")
}

func TestRuleForProxyWithoutTLSNamesScheme(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	proxy, err := url.Parse("https://" + plain.Listener.Addr().String())
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://sts.example", nil)
	require.NoError(t, err)
	_, err = client.Do(request)
	require.Error(t, err)
	a := For(Facts{Kind: ErrUnavailable, Err: err, Region: "us-west-2"})
	assert.Equal(t, HeadingProxy, a.Heading)
	assert.Equal(t, "write http:// instead of https:// in HTTPS_PROXY", a.Fix)
}

func TestRuleForNetworkNamesCause(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}, "no route"},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}, "AWS_USE_DUALSTACK_ENDPOINT=true"},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connectex", syscall.Errno(10051))}, "no route"},            // Windows
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connectex", syscall.Errno(10061))}, "refuses connections"}, // Windows
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connectex", syscall.Errno(10065))}, "no route"},            // Windows
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}, "too many files and connections"},
		{&net.DNSError{Err: "dial udp 10.100.0.10:53: socket: too many open files", Name: "sts.example", IsTemporary: true}, "too many files and connections"},
	} {
		a := For(Facts{Kind: ErrUnavailable, Err: tt.err, Region: "us-west-2"})
		assert.Equal(t, HeadingConnection, a.Heading, tt.err)
		assert.Contains(t, a.Text, tt.want)
	}
	a := For(Facts{Kind: ErrTokenFile, Err: &os.PathError{Op: "open", Path: "/token", Err: syscall.EMFILE}, TokenFile: "/token"})
	assert.Contains(t, a.Text, "too many files and connections")
}

func TestRuleForTokenFileNamesFailedFileSystem(t *testing.T) {
	for err, fix := range map[syscall.Errno]string{
		syscall.EIO: "check the volume", syscall.ESTALE: "check the volume", syscall.ENOTCONN: "check the volume", syscall.ETIMEDOUT: "check the volume",
		syscall.ELOOP: "set AWS_WEB_IDENTITY_TOKEN_FILE",
	} {
		a := For(Facts{Kind: ErrTokenFile, Err: &os.PathError{Op: "read", Path: "/token", Err: err}, TokenFile: "/token"})
		assert.Contains(t, a.Fix, fix, err)
	}
}

func TestRuleForNetworkSuggestsOnlyNamedRegions(t *testing.T) {
	const cluster = "https://oidc.eks.eu-central-1.amazonaws.com/id/A"
	for _, tt := range []struct{ region, issuer, source, want string }{
		{"eu-central-9", cluster, "", "AWS_REGION=eu-central-1"},
		{"eu-central-1a", "", testSource, "AWS_REGION=eu-central-1"},
		{"eu-central-1", cluster, "", ""},
		{"eu-central-1", "https://oidc.example.com", "", ""},
		{"eu-central-1", "", testSource, ""},
	} {
		f := Facts{Kind: ErrUnavailable, Err: &net.DNSError{Name: "sts.example", IsNotFound: true}, RoleARN: testRole, Source: tt.source, Region: tt.region}
		f.Claims.Issuer = tt.issuer
		advice := For(f)
		assert.Equal(t, HeadingNameResolution, advice.Heading)
		if tt.want == "" {
			assert.NotContains(t, advice.Text, "AWS_REGION", tt)
		} else {
			assert.Contains(t, advice.Text, tt.want, tt)
		}
	}
}

func TestRuleForCertificateDependsOnCABundle(t *testing.T) {
	f := Facts{Kind: ErrUnavailable, Err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}}
	assert.Contains(t, For(f).Fix, "add ca-certificates to the image")
	f.CABundle = true
	assert.Equal(t, "add the authority of STS to AWS_CA_BUNDLE, or unset the variable", For(f).Fix)
}

// A client in Options.STS has no URL that the library knows. It is often a mock.
func TestRuleForOtherServerDependsOnClient(t *testing.T) {
	f := Facts{Kind: ErrUnavailable, Err: &RequestError{Status: 200, Text: ErrNotSTS.Error(), Err: ErrNotSTS}, RoleARN: testRole, URL: "https://sts.us-west-2.amazonaws.com"}
	assert.Contains(t, For(f).Text, "the server that responds at https://sts.us-west-2.amazonaws.com is not STS")
	f.Err = &RequestError{Status: 503, Err: ErrNotSTS} // from Envoy if it does not reach STS
	assert.Equal(t, HeadingSTSUnavailable, For(f).Heading)
	assert.Contains(t, For(f).Text, "does not reach https://sts.us-west-2.amazonaws.com")
	f.URL, f.Err = "", &RequestError{Status: 200, Err: ErrNotSTS}
	assert.Equal(t, HeadingNotSTS, For(f).Heading)
	for _, text := range []string{For(f).Fix, For(f).Text} {
		assert.Contains(t, text, "the client in Options.STS")
		assert.NotContains(t, text, "DNS")
	}
}

func TestCallerDependsOnContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Contains(t, Caller(ctx, "us-west-2").Text, "context was canceled")
	ctx, cancel = context.WithTimeout(t.Context(), 0)
	defer cancel()
	a := Caller(ctx, "us-west-2")
	assert.Contains(t, a.Text, "If STS never responds, check the network policies")
	assert.Contains(t, a.Text, "com.amazonaws.us-west-2.sts")
	for _, text := range []string{a.Fix, a.Text} {
		assert.Contains(t, text, "allow more time, such as a minute in WaitReady", "the caller may have called WaitReady with less")
		assert.NotContains(t, text, "or call WaitReady")
	}
}

func TestRuleForProxyDependsOnStatus(t *testing.T) {
	for status, want := range map[string]string{
		"407 Proxy Authentication Required": "requires a user name",
		"403 Forbidden":                     "refuses to connect",
		"503 Service Unavailable":           "cannot reach STS",
	} {
		f := Facts{Kind: ErrUnavailable, Err: &ProxyError{Host: "proxy.example", Status: status}, URL: "https://sts.us-west-2.amazonaws.com"}
		assert.Equal(t, HeadingProxy, For(f).Heading)
		assert.Contains(t, For(f).Text, want)
		assert.Contains(t, For(f).Text, "sts.us-west-2.amazonaws.com")
	}
}

func TestRuleForHostWithoutRegionLinksToRegion(t *testing.T) {
	err := &net.DNSError{Name: "sts..amazonaws.com", IsNotFound: true}
	f := Facts{Kind: ErrUnavailable, Err: err, RoleARN: testRole, Region: "us-east-1", Claims: tokenfile.Claims{Issuer: "https://oidc.eks.us-west-2.amazonaws.com/id/A"}}
	assert.Equal(t, HeadingRegion, For(f).Heading)
}

// A server must not be able to select the advice about the program's code with its message.
func TestRuleForPanicIgnoresTextOfServer(t *testing.T) {
	panicked := errors.New("the STS client panicked: no client")
	assert.Equal(t, HeadingTokenSource, For(Facts{Kind: ErrUnavailable, Err: panicked, RoleARN: testRole}).Heading)
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusInternalServerError} {
		err := &RequestError{Status: status, Code: "Unknown", Message: panicked.Error(), Text: "Unknown: " + panicked.Error(), Err: panicked}
		assert.NotEqual(t, HeadingTokenSource, For(Facts{Kind: ErrUnavailable, Err: err, Code: err.Code, RoleARN: testRole}).Heading, status)
	}
	refused := &ProxyError{Host: "proxy.example", Status: "502 " + panicked.Error()}
	assert.Equal(t, HeadingProxy, For(Facts{Kind: ErrUnavailable, Err: &RequestError{Text: refused.Error(), Err: refused}, RoleARN: testRole}).Heading)
}
