package irsa

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

// unavailableHint returns the advice for an attempt without a usable response from STS.
func unavailableHint(e *Error) hint {
	switch {
	case e.Code == "IDPCommunicationError" || e.Code == "InvalidIdentityToken":
		return hint{headingVerificationKey, fmt.Sprintf("it is tried again by itself; if it lasts: STS fetches the issuer's keys over the internet, so check that %s/.well-known/openid-configuration is public and names the key that signed the token", e.Issuer)}
	case notOfSTS(e.Code) || isNotSTS(e.err):
		return notSTSHint()
	case e.Code != "":
		return hint{headingSTSUnavailable, "it passes by itself and is tried again; valid credentials are served meanwhile"}
	case errors.Is(e.err, errClock):
		return hint{headingClock, "check the time synchronisation of the node"}
	case errors.Is(e.err, errNoRegion):
		return hint{headingRegion, "give the STS client of Options.STS a region"}
	default:
		return networkHint(e)
	}
}

func notSTSHint() hint {
	return hint{headingNotSTS, "something other than STS answers: check AWS_ENDPOINT_URL_STS, the proxy, and what stands between the pod and STS"}
}

// isNotSTS reports whether the response cannot be from STS.
func isNotSTS(err error) bool {
	var tooLong *http.MaxBytesError
	return errors.Is(err, errNotSTS) || errors.As(err, &tooLong)
}

// networkHint returns the advice for a request without a response.
func networkHint(e *Error) hint {
	var host *net.DNSError
	switch {
	case isProxy(e.err):
		return hint{headingProxy, "the proxy of HTTPS_PROXY does not let the request through: check it, or put the host of STS into NO_PROXY"}
	case errors.As(e.err, &host):
		return hint{headingNameResolution, fmt.Sprintf("the host name %s cannot be resolved: check the region, the cluster's DNS and its network policies", host.Name)}
	case errors.Is(e.err, syscall.ECONNREFUSED):
		return hint{headingConnection, "nothing listens there: at a pod's start this may be a service mesh that is not ready, for which WaitReady waits; else check the endpoint, the proxy and the network policies"}
	case isTimeout(e.err):
		return timeoutHint(e.Region)
	}
	if h := tlsHint(e.err); h.heading != "" {
		return h
	}
	return hint{headingConnection, "the request did not come through: check the way to STS, that is its endpoint, the proxy and the network policies"}
}

// callerHint returns the advice for a caller whose context was done before the first attempt
// completed.
func callerHint(ctx context.Context, e *Error) hint {
	if errors.Is(ctx.Err(), context.Canceled) {
		return hint{headingTimeout, "the caller gave up before STS had answered"}
	}
	return hint{headingTimeout, "the caller's time was up before STS had answered: give it more, or call WaitReady at the start; if STS never answers: " + timeoutHint(e.Region).cure}
}

func timeoutHint(region string) hint {
	return hint{headingTimeout, fmt.Sprintf("in a VPC without a way to the internet STS needs a VPC endpoint (com.amazonaws.%s.sts); check its security group, the network policies and the proxy", region)}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// isProxy reports whether a proxy rejected the request or cannot be reached.
func isProxy(err error) bool {
	var answer *proxyError
	var op *net.OpError
	return errors.As(err, &answer) || errors.As(err, &op) && op.Op == "proxyconnect"
}

// tlsHint returns the advice for a failed TLS handshake, or an empty hint for other errors.
func tlsHint(err error) hint {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var op *net.OpError
	var unverified *tls.CertificateVerificationError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return hint{headingClock, "the certificate is not valid at this node's time: check its time synchronisation, and, where the time is right, what stands between the pod and STS"}
	case errors.As(err, &name):
		return hint{headingTLS, "the certificate is another server's: check the endpoint, the cluster's DNS and what stands between the pod and STS"}
	case errors.As(err, &unverified):
		return hint{headingTLS, "the certificate of STS cannot be verified: the image needs the public authorities (ca-certificates), and behind a proxy that opens TLS its authority, which AWS_CA_BUNDLE can name"}
	case errors.Is(err, http.ErrSchemeMismatch):
		return hint{headingTLS, "the endpoint speaks http:// and not https://: correct it"}
	case errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"): // crypto/tls's alerts
		return hint{headingTLS, "the other side breaks TLS off: check the endpoint, and what stands between the pod and STS"}
	}
	return hint{}
}
