package irsatest

import "net/http"

// Fault is a way for the STS to fail: see [STS.Fail].
type Fault string

// Faults that AWS answers with an error.
const (
	// Throttling is 400 Throttling, "Rate exceeded".
	Throttling Fault = "Throttling"
	// Unavailable is 503 ServiceUnavailable.
	Unavailable Fault = "Unavailable"
	// InternalFailure is 500 InternalFailure.
	InternalFailure Fault = "InternalFailure"
	// IDPCommunicationError is 400 IDPCommunicationError: STS cannot reach the issuer.
	IDPCommunicationError Fault = "IDPCommunicationError"
	// AccessDenied is 403 AccessDenied, as of a trust policy that does not match.
	AccessDenied Fault = "AccessDenied"
	// ExpiredToken is 400 ExpiredTokenException, whatever the token says.
	ExpiredToken Fault = "ExpiredToken"
	// VerificationKey is 400 InvalidIdentityToken, "Couldn't retrieve
	// verification key from your identity provider": a passing fault of the issuer.
	VerificationKey Fault = "VerificationKey"
)

// Faults of the connection.
const (
	// Reset resets the connection while the client waits for the reply.
	Reset Fault = "Reset"
	// Hang sends no reply until the client goes away, [STS.Recover] lets the
	// call go on, or [STS.Down] or [Cluster.Close] cuts it.
	Hang Fault = "Hang"
)

// Faults of the reply, each with status 200.
const (
	// EmptyReply has no body.
	EmptyReply Fault = "EmptyReply"
	// TruncatedReply ends in the middle of the body.
	TruncatedReply Fault = "TruncatedReply"
	// HTMLReply is a web page, as of a proxy or a captive portal.
	HTMLReply Fault = "HTMLReply"
	// NoCredentials is an answer without Credentials.
	NoCredentials Fault = "NoCredentials"
	// EmptyKeys is an answer whose Credentials have empty keys.
	EmptyKeys Fault = "EmptyKeys"
	// ExpiredCredentials is an answer whose credentials expired a minute ago.
	ExpiredCredentials Fault = "ExpiredCredentials"
	// HugeReply is 10 MiB of XML without credentials, its length not announced.
	HugeReply Fault = "HugeReply"
)

// valid reports whether f is one of the constants.
func (f Fault) valid() bool {
	switch f {
	case Reset, Hang, EmptyReply, TruncatedReply, HTMLReply, NoCredentials, EmptyKeys, ExpiredCredentials, HugeReply:
		return true
	}
	return f.refusal() != nil
}

// refusal is the error that AWS answers, or nil if the fault is of another kind.
// The codes and statuses are those of the STS API reference, actions
// AssumeRoleWithWebIdentity and Common Errors; so are the texts, unless noted.
func (f Fault) refusal() *refusal {
	switch f {
	case Throttling:
		return &refusal{http.StatusBadRequest, "Throttling", "Rate exceeded"}
	case Unavailable:
		return &refusal{http.StatusServiceUnavailable, "ServiceUnavailable",
			"The request has failed due to a temporary failure of the server."}
	case InternalFailure:
		return &refusal{http.StatusInternalServerError, "InternalFailure",
			"The request processing has failed because of an unknown error, exception or failure."}
	case IDPCommunicationError:
		return &refusal{http.StatusBadRequest, "IDPCommunicationError",
			"The request could not be fulfilled because the identity provider (IDP) that was asked to verify the incoming identity token could not be reached."}
	case AccessDenied:
		return notAuthorized()
	case ExpiredToken:
		return &refusal{http.StatusBadRequest, "ExpiredTokenException",
			"The web identity token that was passed is expired or is not valid."}
	case VerificationKey:
		return noVerificationKey()
	}
	return nil
}
