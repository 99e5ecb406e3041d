package irsa

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/aws/smithy-go"
)

// unavailableHint is for an attempt to which STS gave no answer, or none of use.
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
	case strings.Contains(e.err.Error(), "Missing Region"): // of the SDK's endpoint rules, for a client of the caller's own
		return hint{headingRegion, "give the STS client of Options.STS a region"}
	default:
		return networkHint(e)
	}
}

func notSTSHint() hint {
	return hint{headingNotSTS, "something other than STS answers: check AWS_ENDPOINT_URL_STS, the proxy, and what stands between the pod and STS"}
}

// isNotSTS says of an error of the client that the reply is none of STS's.
func isNotSTS(err error) bool {
	var tooLong *http.MaxBytesError
	var unreadable *smithy.DeserializationError
	return errors.Is(err, errNotSTS) || errors.As(err, &tooLong) || errors.As(err, &unreadable) && !isNetwork(err)
}

// isNetwork says of an error that the reply broke off, or did not come.
func isNetwork(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// networkHint is for a request that did not come back.
func networkHint(e *Error) hint {
	var host *net.DNSError
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.As(e.err, &op) && op.Op == "proxyconnect":
		return hint{headingProxy, "the proxy of HTTPS_PROXY does not let the request through: check it, or put the host of STS into NO_PROXY"}
	case errors.As(e.err, &host):
		return hint{headingNameResolution, fmt.Sprintf("the host name %s cannot be resolved: check the region, the cluster's DNS and its network policies", host.Name)}
	case isTLS(e.err):
		return hint{headingTLS, "the certificate of STS cannot be verified: the image needs the public authorities (ca-certificates), and behind a proxy that opens TLS its authority, which AWS_CA_BUNDLE can name"}
	case errors.Is(e.err, syscall.ECONNREFUSED):
		return hint{headingConnection, "nothing listens there: at a pod's start this may be a service mesh that is not ready, for which WaitReady waits; else check the endpoint, the proxy and the network policies"}
	case errors.As(e.err, &timeout) && timeout.Timeout() || errors.Is(e.err, context.DeadlineExceeded):
		return hint{headingTimeout, fmt.Sprintf("in a VPC without a way to the internet STS needs a VPC endpoint (com.amazonaws.%s.sts); check its security group, the network policies and the proxy", e.Region)}
	default:
		return hint{headingConnection, "the request did not come through: check the way to STS, that is its endpoint, the proxy and the network policies"}
	}
}

func isTLS(err error) bool {
	var unverified *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var roots x509.SystemRootsError
	var record tls.RecordHeaderError
	return errors.As(err, &unverified) || errors.As(err, &unknown) || errors.As(err, &name) ||
		errors.As(err, &invalid) || errors.As(err, &roots) || errors.As(err, &record)
}
