package irsatest

import (
	"fmt"
	"net/http"
	"slices"
)

// Fault is a failure that the STS injects into calls. See [STS.Fail].
type Fault string

// Faults that return an AWS error. In AWS, only AssumeRoleWithWebIdentity returns
// IDPCommunicationError, IDPRejectedClaim and the errors of VerificationKey and Thumbprint. The kit
// returns them for every action.
const (
	// Throttling is 400 Throttling, "Rate exceeded".
	Throttling Fault = "Throttling"
	// Unavailable is 503 ServiceUnavailable.
	Unavailable Fault = "Unavailable"
	// InternalFailure is 500 InternalFailure.
	InternalFailure Fault = "InternalFailure"
	// IDPCommunicationError is 400 IDPCommunicationError: STS cannot reach the issuer.
	IDPCommunicationError Fault = "IDPCommunicationError"
	// IDPRejectedClaim is 403 IDPRejectedClaim: the issuer reports that the claim is invalid or has
	// been revoked.
	IDPRejectedClaim Fault = "IDPRejectedClaim"
	// RegionDisabled is 403 RegionDisabledException: STS is not activated in the region.
	RegionDisabled Fault = "RegionDisabled"
	// AccessDenied is 403 AccessDenied, as for a trust policy that does not match. See Denied for
	// messages that name another action or policy.
	AccessDenied Fault = "AccessDenied"
	// ExpiredToken is 400 ExpiredTokenException, even if the token is valid. For AssumeRole, it is
	// 403 ExpiredToken.
	ExpiredToken Fault = "ExpiredToken"
	// VerificationKey is 400 InvalidIdentityToken, "Couldn't retrieve
	// verification key from your identity provider": a temporary failure of the issuer.
	VerificationKey Fault = "VerificationKey"
	// Thumbprint is 400 InvalidIdentityToken, "OpenIDConnect provider's HTTPS
	// certificate doesn't match configured thumbprint": the account's OIDC provider
	// does not trust the issuer's certificate.
	Thumbprint Fault = "Thumbprint"
)

// Connection faults.
const (
	// Reset resets the connection while the client waits for the response.
	Reset Fault = "Reset"
	// Hang sends no response until the client disconnects, [STS.Recover] resumes the
	// call, or [STS.Down] or [Cluster.Close] interrupts it.
	Hang Fault = "Hang"
)

// Response faults, all with status 200.
const (
	// EmptyReply has no body.
	EmptyReply Fault = "EmptyReply"
	// TruncatedReply ends in the middle of the body.
	TruncatedReply Fault = "TruncatedReply"
	// HTMLReply is a web page, as sent by a proxy or a captive portal.
	HTMLReply Fault = "HTMLReply"
	// GarbageReply is a kilobyte of random bytes.
	GarbageReply Fault = "GarbageReply"
	// NoCredentials is a result without Credentials.
	NoCredentials Fault = "NoCredentials"
	// EmptyKeys is a result whose Credentials have empty keys.
	EmptyKeys Fault = "EmptyKeys"
	// ExpiredCredentials is a result whose credentials expired a minute ago.
	ExpiredCredentials Fault = "ExpiredCredentials"
	// HugeReply is 10 MiB of XML without credentials and without a Content-Length.
	HugeReply Fault = "HugeReply"
)

// Faults returns all Fault constants, for tests that run with each of them.
func Faults() []Fault {
	return []Fault{
		Throttling, Unavailable, InternalFailure, IDPCommunicationError, IDPRejectedClaim, RegionDisabled,
		AccessDenied, ExpiredToken, VerificationKey, Thumbprint,
		Reset, Hang,
		EmptyReply, TruncatedReply, HTMLReply, GarbageReply, NoCredentials, EmptyKeys, ExpiredCredentials, HugeReply,
	}
}

// checkFault ends the test if f is neither a constant nor created by Denied.
func (k *Cluster) checkFault(f Fault) {
	if _, _, ok := f.denied(); !ok && !slices.Contains(Faults(), f) {
		k.check(fmt.Errorf("%q is not a Fault of this package", string(f)))
	}
}

// faults is a fault to inject into the next n calls, or into all calls if n is negative.
type faults struct {
	fault Fault
	n     int
}

// next returns the fault for the next call, or "" if there is none.
func (f *faults) next() Fault {
	if f.n == 0 {
		return ""
	}
	if f.n > 0 {
		f.n--
	}
	return f.fault
}

// rejection returns the AWS error for the fault, or nil for connection and response faults. The
// codes, statuses and, unless noted, the messages are from the STS API reference,
// AssumeRoleWithWebIdentity and Common Errors.
func (f Fault) rejection(q query) *rejection {
	if action, ending, ok := f.denied(); ok {
		return q.deniedRejection(action, ending)
	}
	if q.action == assumeRole {
		switch f {
		case AccessDenied:
			return q.deniedRejection("sts:AssumeRole", "")
		case ExpiredToken:
			return expiredSession()
		}
	}
	switch f {
	case Throttling:
		return &rejection{status: http.StatusBadRequest, code: "Throttling", message: "Rate exceeded"}
	case Unavailable:
		return &rejection{status: http.StatusServiceUnavailable, code: "ServiceUnavailable", message: "The request has failed due to a temporary failure of the server."}
	case InternalFailure:
		return &rejection{status: http.StatusInternalServerError, code: "InternalFailure", message: "The request processing has failed because of an unknown error, exception or failure."}
	case IDPCommunicationError:
		return &rejection{status: http.StatusBadRequest, code: "IDPCommunicationError", message: "The request could not be fulfilled because the identity provider (IDP) that was asked to verify the incoming identity token could not be reached."}
	case AccessDenied:
		return notAuthorizedWebIdentity("sts:AssumeRoleWithWebIdentity")
	case ExpiredToken:
		return &rejection{status: http.StatusBadRequest, code: "ExpiredTokenException", message: "The web identity token that was passed is expired or is not valid."}
	case VerificationKey:
		return noVerificationKey()
	case Thumbprint:
		return wrongThumbprint()
	case IDPRejectedClaim:
		return forbidden("IDPRejectedClaim", "The identity provider (IdP) reported that authentication failed. This might be because the claim is invalid.")
	case RegionDisabled: // known only from public reports
		return forbidden("RegionDisabledException", "STS is not activated in this region for account:"+q.cluster.accountID+
			". Your account administrator can activate STS in this region using the IAM Console.")
	}
	return nil
}
