package explain

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
)

const (
	caReport       = "https://github.com/falcosecurity/charts/issues/397"
	endpointReport = "https://github.com/aws/containers-roadmap/issues/586"
)

// networkRules apply to failures without a response.
var networkRules = []rule{
	{
		when: isFaultOfProgram, kind: ErrUnavailable, heading: HeadingTokenSource,
		fix:  "correct the program's own token function, HTTP client or STS client",
		text: "code of the program panicked, exited its goroutine, or did not return when its context was done: correct what Options.Token, HTTPClient or STS sets",
	},
	{
		when: func(f Facts) bool { return errors.Is(f.Err, ErrOwnClient) }, kind: ErrUnavailable, heading: HeadingTokenSource,
		fix:  "correct the program's own STS client, or what it checks",
		text: "STS responded with credentials, and then the STS client returned this error, which is the program's own: correct the client in Options.STS or AssumeRoleOptions.Client, or what it checks",
	},
	{
		when: func(f Facts) bool { return errors.Is(f.Err, ErrClock) }, kind: ErrUnavailable, heading: HeadingClock,
		fix:  "compare this node's clock with that of the server that responds",
		text: "by this node's clock, the credentials in the response expire too early: compare the clock with that of STS (the Date header). If the node's clock is wrong, set it (for example with chronyc makestep). If it is right, check which server responds as STS (AWS_ENDPOINT_URL_STS, HTTPS_PROXY, DNS)",
	},
	{
		when: func(f Facts) bool { return errors.Is(f.Err, ErrNoRegion) }, kind: ErrUnavailable, heading: HeadingRegion,
		fix:  "give the STS client of Options.STS a region",
		text: "give the STS client of Options.STS a region",
	},
	{
		when: func(f Facts) bool { return isExpiredCertificate(f.Err) }, kind: ErrUnavailable, heading: HeadingClock,
		fix:    "correct the clock of this node",
		text:   "the certificate is not valid at this node's time: check its time synchronization, and, if the time is right, any proxy or gateway between the pod and STS",
		source: caReport,
	},
	{
		when: func(f Facts) bool { return errorIs[x509.HostnameError](f.Err) }, kind: ErrUnavailable, heading: HeadingTLS,
		fix:    "check the endpoint and the cluster's DNS",
		text:   "the certificate belongs to another server: check the endpoint, the cluster's DNS, and any proxy or gateway between the pod and STS",
		source: caReport,
	},
	{
		when: func(f Facts) bool { return errorIs[*tls.CertificateVerificationError](f.Err) && f.CABundle }, kind: ErrUnavailable, heading: HeadingTLS,
		fix:    "add the authority of STS to AWS_CA_BUNDLE, or unset the variable",
		text:   "the certificate is from none of the authorities in AWS_CA_BUNDLE, which replace those of the system: unset the variable, or add the missing authorities to the file: the public ones (ca-certificates), and behind a TLS-intercepting proxy the CA certificate of the proxy",
		source: "https://docs.aws.amazon.com/sdkref/latest/guide/feature-gen-config.html",
	},
	{
		when: func(f Facts) bool { return errorIs[*tls.CertificateVerificationError](f.Err) }, kind: ErrUnavailable, heading: HeadingTLS,
		fix:    "add ca-certificates to the image, or set AWS_CA_BUNDLE",
		text:   "the certificate of STS, or of an https:// proxy, cannot be verified: install the public CA certificates (ca-certificates) in the image. Behind a TLS-intercepting proxy, or one with a private certificate, set AWS_CA_BUNDLE to a file with the proxy's CA certificate and the public ones",
		source: caReport,
	},
	{
		when: func(f Facts) bool { return proxyAnswered(f, "407") }, kind: ErrUnavailable, heading: HeadingProxy,
		fix:    "put the proxy's user name and password into HTTPS_PROXY",
		text:   "the proxy requires a user name and a password: add them to HTTPS_PROXY (http://USER:PASSWORD@HOST:PORT). If the pod can reach STS without the proxy, you can add {stshost} to NO_PROXY instead",
		source: "https://www.rfc-editor.org/rfc/rfc9110#name-407-proxy-authentication-re",
	},
	{
		when: func(f Facts) bool { return proxyAnswered(f, "5") }, kind: ErrUnavailable, heading: HeadingProxy,
		fix:    "check the proxy, which cannot reach STS",
		text:   "the proxy in HTTPS_PROXY cannot reach STS: check its network and its DNS. If the pod can reach STS without the proxy, you can add {stshost} to NO_PROXY instead",
		source: "https://www.rfc-editor.org/rfc/rfc9110#name-server-error-5xx",
	},
	{
		when: func(f Facts) bool { return errorIs[*ProxyError](f.Err) }, kind: ErrUnavailable, heading: HeadingProxy,
		fix:    "allow STS in the proxy, or add its host to NO_PROXY",
		text:   "the proxy in HTTPS_PROXY refuses to connect to STS: allow {stshost} in the proxy. If the pod can reach STS without the proxy, you can add that host to NO_PROXY instead",
		source: "https://pkg.go.dev/net/http#ProxyFromEnvironment",
	},
	{
		when: func(f Facts) bool { return isOp(f.Err, "socks connect") }, kind: ErrUnavailable, heading: HeadingProxy,
		fix:    "check the SOCKS proxy in HTTPS_PROXY, or add the host of STS to NO_PROXY",
		text:   "the SOCKS proxy in HTTPS_PROXY does not connect to {stshost}: check the user name and the password in the variable, and what the proxy allows. If the pod can reach STS without the proxy, unset HTTPS_PROXY or add that host to NO_PROXY",
		source: "https://pkg.go.dev/net/http#Transport",
	},
	{
		when: func(f Facts) bool { return isProxy(f.Err) && errorIs[tls.RecordHeaderError](f.Err) }, kind: ErrUnavailable, heading: HeadingProxy,
		fix:    "write http:// instead of https:// in HTTPS_PROXY",
		text:   "the address of the proxy begins with https://, but the proxy does not speak TLS: write http:// in HTTPS_PROXY. The connection to STS is still encrypted",
		source: "https://pkg.go.dev/net/http#ProxyFromEnvironment",
	},
	{
		when: func(f Facts) bool { return isProxy(f.Err) }, kind: ErrUnavailable, heading: HeadingProxy,
		fix:    "correct HTTPS_PROXY, or add the host of STS to NO_PROXY",
		text:   "the proxy in HTTPS_PROXY cannot be reached, or its address is wrong: correct the variable, or start the proxy if it is a sidecar. If the pod can reach STS without the proxy, unset HTTPS_PROXY or add {stshost} to NO_PROXY",
		source: "https://pkg.go.dev/net/http#ProxyFromEnvironment",
	},
	{
		when: func(f Facts) bool { return errorIs[*net.DNSError](f.Err) && !isUnknownHost(f) }, kind: ErrUnavailable, heading: HeadingNameResolution,
		fix:    "check the cluster's DNS, and port 53 in its network policies",
		text:   "the cluster's DNS does not respond, or reports a failure: check it, and whether the network policies allow port 53, UDP and TCP",
		source: "https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/",
	},
	{
		when: func(f Facts) bool { return isUnknownHost(f) && hasEndpoint(f) }, kind: ErrUnavailable, heading: HeadingNameResolution,
		fix:    "check the endpoint, the cluster's DNS and its network policies",
		text:   "the host name {host} of the endpoint cannot be resolved: unset AWS_ENDPOINT_URL_STS and Options.Endpoint, or correct them, and check the cluster's DNS and its network policies",
		source: "https://github.com/aws/aws-sdk-go-v2/issues/515",
	},
	{
		when: hasNoRegion, kind: ErrUnavailable, heading: HeadingRegion,
		fix:    "set a region: the host name of STS has none",
		text:   "the host name {host} has no region: set the region of the client in Options.STS, or correct the endpoint",
		source: "https://github.com/aws/aws-sdk-go-v2/issues/515",
	},
	{
		when: func(f Facts) bool {
			return isUnknownHost(f) && f.namedRegion() != "" && f.namedRegion() != f.Region
		}, kind: ErrUnavailable, heading: HeadingNameResolution,
		fix:    "check the region, the cluster's DNS and its network policies",
		text:   "the host name {host} cannot be resolved: check the cluster's DNS, its network policies and the region {region}. If that is misspelled, set {regionsetting}={home}",
		source: "https://github.com/aws/aws-sdk-go-v2/issues/515",
	},
	{
		when: isUnknownHost, kind: ErrUnavailable, heading: HeadingNameResolution,
		fix:    "check the region, the cluster's DNS and its network policies",
		text:   "the host name {host} cannot be resolved: check the region, the cluster's DNS and its network policies",
		source: "https://github.com/aws/aws-sdk-go-v2/issues/515",
	},
	{
		when: func(f Facts) bool { return isErrno(f.Err, syscall.ECONNREFUSED, errWSAConnRefused) }, kind: ErrUnavailable, heading: HeadingConnection,
		fix:    "check AWS_ENDPOINT_URL_STS, HTTPS_PROXY and the network policies",
		text:   "the address of {stshost} refuses connections: check DNS, AWS_ENDPOINT_URL_STS and the network policies. If the pod has the sidecar of a service mesh, it may not have been ready yet: the library retries, or start the sidecar first",
		source: "https://github.com/istio/istio/issues/55921",
	},
	{
		when: func(f Facts) bool {
			return isErrno(f.Err, syscall.ENETUNREACH, syscall.EHOSTUNREACH, errWSANetUnreach, errWSAHostUnreach)
		}, kind: ErrUnavailable, heading: HeadingConnection,
		fix:    "check the pod's routes; with IPv6 only, use dual stack or NAT64",
		text:   "the pod has no route to {stshost}: check the routes of its subnet and the network policies. A pod with IPv6 only reaches the IPv4 addresses of STS through NAT64 and DNS64, or set AWS_USE_DUALSTACK_ENDPOINT=true",
		source: "https://docs.aws.amazon.com/eks/latest/userguide/cni-ipv6.html",
	},
	{
		when: func(f Facts) bool { return IsTimeout(f.Err) }, kind: ErrUnavailable, heading: HeadingTimeout, fix: timeoutFix, text: timeoutText,
		source: endpointReport,
	},
	{
		when: func(f Facts) bool {
			return errors.Is(f.Err, http.ErrSchemeMismatch) || errorIs[tls.RecordHeaderError](f.Err)
		}, kind: ErrUnavailable, heading: HeadingTLS,
		fix:    "correct the endpoint: it does not speak https://",
		text:   "the server at {url} does not speak https://: correct the endpoint, and check any proxy or gateway between the pod and STS",
		source: "https://pkg.go.dev/net/http#pkg-variables",
	},
	{
		when: func(f Facts) bool { return isTLSAlert(f.Err) }, kind: ErrUnavailable, heading: HeadingTLS,
		fix:    "check the endpoint and any proxy or gateway before STS",
		text:   "the server aborted the TLS handshake: check the endpoint, and any proxy or gateway between the pod and STS",
		source: "https://pkg.go.dev/crypto/tls#AlertError",
	},
	{
		kind: ErrUnavailable, heading: HeadingConnection, fix: "check the endpoint, the proxy and the network policies",
		text: "a request to {url} got no complete response. If this happens again, check the endpoint, the proxy (HTTPS_PROXY), and any gateway, firewall or network policy between the pod and STS",
	},
}

const (
	timeoutFix  = "check network policies, the proxy and the route or VPC endpoint to STS"
	timeoutText = "{url} does not respond: " + checkRoute
	checkRoute  = "check the network policies and the proxy. A VPC without a route to the internet needs a VPC endpoint for STS{endpointservice}, whose security group admits the pod on port 443"
	moreTime    = "allow more time, such as a minute in WaitReady at the start"
)

// isFaultOfProgram reports whether code passed in Options panicked, called runtime.Goexit, or ignored
// its context. With a token file, an ignored context does not count, because a process that was
// paused for a while looks the same.
func isFaultOfProgram(f Facts) bool {
	switch {
	case errors.Is(f.Err, ErrPanic):
		return true
	case errorIs[*RequestError](f.Err): // the message is a server's
		return false
	case strings.Contains(f.text(), "the source did not return within"):
		return f.TokenFile == ""
	}
	return slices.ContainsFunc([]string{"the source called runtime.Goexit", "the source panicked", "the STS client panicked"},
		func(text string) bool { return strings.Contains(f.text(), text) })
}

// Windows socket errors. They differ from the package syscall constants with Unix names.
// https://learn.microsoft.com/windows/win32/winsock/windows-sockets-error-codes-2
const (
	errWSANetUnreach  syscall.Errno = 10051
	errWSAConnRefused syscall.Errno = 10061
	errWSAHostUnreach syscall.Errno = 10065
)

// isErrno reports whether err wraps any of the given operating system errors.
func isErrno(err error, all ...syscall.Errno) bool {
	return slices.ContainsFunc(all, func(e syscall.Errno) bool { return errors.Is(err, e) })
}

// isNotSTS reports whether the response cannot be from STS.
func isNotSTS(f Facts) bool {
	return isOtherServerCode(f.Code) || errors.Is(f.Err, ErrNotSTS) || errorIs[*http.MaxBytesError](f.Err)
}

// isGatewayFailure reports whether the response has the status of a gateway that cannot pass on a
// request, and is not from STS.
func isGatewayFailure(f Facts) bool {
	var failure *RequestError
	return errors.Is(f.Err, ErrNotSTS) && errors.As(f.Err, &failure) && failure.Status >= http.StatusBadGateway && failure.Status <= http.StatusGatewayTimeout
}

// NotSTS returns the advice for a response with this status that is not from STS. endpoint is the
// configured endpoint, and url the URL that was used.
func NotSTS(status int, endpoint, url string) Advice {
	return For(Facts{Kind: ErrUnavailable, Err: &RequestError{Status: status, Err: ErrNotSTS}, Endpoint: endpoint, URL: url})
}

// Caller returns the advice for a caller whose context was done before the first attempt completed.
func Caller(ctx context.Context, region string) Advice {
	if errors.Is(ctx.Err(), context.Canceled) {
		return Advice{HeadingTimeout, "do not cancel the context before STS responds", "the caller's context was canceled before STS responded"}
	}
	return Advice{HeadingTimeout, moreTime, "the caller's deadline passed before STS responded: " + moreTime + ". If STS never responds, " + Facts{Region: region}.expand(checkRoute)}
}

// Timeout returns the advice for an endpoint that does not respond.
func Timeout(region, url string) Advice {
	return Advice{HeadingTimeout, timeoutFix, Facts{Region: region, URL: url}.expand(timeoutText)}
}

// IsTimeout reports whether err is a timeout.
func IsTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// hasNoRegion reports whether the host name of STS was built by a client without a region.
func hasNoRegion(f Facts) bool {
	var host *net.DNSError
	return isUnknownHost(f) && errors.As(f.Err, &host) && strings.Contains(host.Name, "..")
}

// proxyAnswered reports whether a proxy rejected the request with a status that begins with status.
func proxyAnswered(f Facts, status string) bool {
	var proxy *ProxyError
	return errors.As(f.Err, &proxy) && strings.HasPrefix(proxy.Status, status)
}

// isProxy reports whether a proxy rejected the request, is unreachable or has an invalid address.
func isProxy(err error) bool {
	return errors.Is(err, ErrProxyAddress) || errorIs[*ProxyError](err) || isOp(err, "proxyconnect")
}

// isOp reports whether any of the given network operations failed.
func isOp(err error, all ...string) bool {
	var op *net.OpError
	return errors.As(err, &op) && slices.Contains(all, op.Op)
}

func isExpiredCertificate(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}

// isTLSAlert reports whether err is a crypto/tls alert.
func isTLSAlert(err error) bool { return isOp(err, "remote error", "local error") }

// errorIs reports whether err wraps an error of type E.
func errorIs[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}
