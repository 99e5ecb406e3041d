package explain

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
)

// unavailableAdvice returns the advice for an attempt without a usable response from STS.
func unavailableAdvice(f Facts) Advice {
	switch {
	case f.Code == "IDPCommunicationError" || f.Code == "InvalidIdentityToken":
		return Advice{HeadingVerificationKey, fmt.Sprintf("it is tried again by itself; if it lasts: STS fetches the issuer's keys over the internet, so check that %s/.well-known/openid-configuration is public and names the key that signed the token", f.Claims.Issuer)}
	case isForeignCode(f.Code) || isNotSTS(f.Err):
		return NotSTS()
	case f.Code != "":
		return Advice{HeadingSTSUnavailable, "it passes by itself and is tried again; valid credentials are served meanwhile"}
	case errors.Is(f.Err, ErrClock):
		return Advice{HeadingClock, "check the time synchronisation of the node"}
	case errors.Is(f.Err, ErrNoRegion):
		return Advice{HeadingRegion, "give the STS client of Options.STS a region"}
	default:
		return Network(f)
	}
}

// NotSTS returns the advice for a response that is not from STS.
func NotSTS() Advice {
	return Advice{HeadingNotSTS, "something other than STS answers: check AWS_ENDPOINT_URL_STS, the proxy, and what stands between the pod and STS"}
}

// isNotSTS reports whether the response cannot be from STS.
func isNotSTS(err error) bool {
	var tooLong *http.MaxBytesError
	return errors.Is(err, ErrNotSTS) || errors.As(err, &tooLong)
}

// Network returns the advice for a request without a response.
func Network(f Facts) Advice {
	var host *net.DNSError
	switch {
	case isProxy(f.Err):
		return Advice{HeadingProxy, "the proxy of HTTPS_PROXY does not let the request through: check it, or put the host of STS into NO_PROXY"}
	case errors.As(f.Err, &host):
		return Advice{HeadingNameResolution, fmt.Sprintf("the host name %s cannot be resolved: check the region, the cluster's DNS and its network policies", host.Name)}
	case errors.Is(f.Err, syscall.ECONNREFUSED):
		return Advice{HeadingConnection, "nothing listens there: at a pod's start this may be a service mesh that is not ready, for which WaitReady waits; else check the endpoint, the proxy and the network policies"}
	case IsTimeout(f.Err):
		return Timeout(f.Region)
	}
	if h := tlsAdvice(f.Err); h.Heading != "" {
		return h
	}
	return Advice{HeadingConnection, "the request did not come through: check the way to STS, that is its endpoint, the proxy and the network policies"}
}

// Caller returns the advice for a caller whose context was done before the first attempt
// completed.
func Caller(ctx context.Context, region string) Advice {
	if errors.Is(ctx.Err(), context.Canceled) {
		return Advice{HeadingTimeout, "the caller gave up before STS had answered"}
	}
	return Advice{HeadingTimeout, "the caller's time was up before STS had answered: give it more, or call WaitReady at the start; if STS never answers: " + Timeout(region).Text}
}

// Timeout returns the advice for an endpoint that does not respond.
func Timeout(region string) Advice {
	return Advice{HeadingTimeout, fmt.Sprintf("in a VPC without a way to the internet STS needs a VPC endpoint (com.amazonaws.%s.sts); check its security group, the network policies and the proxy", region)}
}

// IsTimeout reports whether err is a timeout.
func IsTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// isProxy reports whether a proxy rejected the request or cannot be reached.
func isProxy(err error) bool {
	var answer *ProxyError
	var op *net.OpError
	return errors.As(err, &answer) || errors.As(err, &op) && op.Op == "proxyconnect"
}

// tlsAdvice returns the advice for a failed TLS handshake, or the zero advice for other errors.
func tlsAdvice(err error) Advice {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var op *net.OpError
	var unverified *tls.CertificateVerificationError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return Advice{HeadingClock, "the certificate is not valid at this node's time: check its time synchronisation, and, where the time is right, what stands between the pod and STS"}
	case errors.As(err, &name):
		return Advice{HeadingTLS, "the certificate is another server's: check the endpoint, the cluster's DNS and what stands between the pod and STS"}
	case errors.As(err, &unverified):
		return Advice{HeadingTLS, "the certificate of STS cannot be verified: the image needs the public authorities (ca-certificates), and behind a proxy that opens TLS its authority, which AWS_CA_BUNDLE can name"}
	case errors.Is(err, http.ErrSchemeMismatch):
		return Advice{HeadingTLS, "the endpoint speaks http:// and not https://: correct it"}
	case errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"): // crypto/tls's alerts
		return Advice{HeadingTLS, "the other side breaks TLS off: check the endpoint, and what stands between the pod and STS"}
	}
	return Advice{}
}
