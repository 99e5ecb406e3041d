package irsatest

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A rejection is an error returned by STS.
type rejection struct {
	status  int
	code    string
	message string
	reason  string // Call.Reason, which AWS does not disclose
}

// withReason sets the reason for Call.Reason.
func (r *rejection) withReason(format string, args ...any) *rejection {
	r.reason = fmt.Sprintf(format, args...)
	return r
}

// The codes and statuses below are from the Errors sections of the actions and the Common Errors in
// the STS API reference. AWS documents only a few of the messages. Unless noted otherwise, they are
// from public reports of AWS's responses.

func invalid(message string) *rejection {
	return &rejection{status: http.StatusBadRequest, code: "ValidationError", message: message}
}

func badToken(message string) *rejection {
	return &rejection{status: http.StatusBadRequest, code: "InvalidIdentityToken", message: message}
}

func noJWT() *rejection {
	return badToken("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
}

func missingClaim(name string) *rejection { return badToken("Missing a required claim: " + name) }

func noProvider(issuer string) *rejection {
	return badToken("No OpenIDConnect provider found in your account for " + issuer)
}

// noVerificationKey has two spaces after the comma, as in AWS's message.
func noVerificationKey() *rejection {
	return badToken("Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements")
}

func wrongThumbprint() *rejection {
	return badToken("OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint")
}

// badTokenSignature has the kit's own message, because AWS's is not publicly known.
func badTokenSignature() *rejection { return badToken("The signature of the token is invalid") }

// notYetValid has the kit's own message, because AWS's is not publicly known.
func notYetValid() *rejection { return badToken("The token is not yet valid") }

func wrongAudience() *rejection { return badToken("Incorrect token audience") }

func expiredToken(now, expiry time.Time) *rejection {
	return &rejection{
		status: http.StatusBadRequest, code: "ExpiredTokenException",
		message: fmt.Sprintf("Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), expiry.Unix()),
	}
}

func notAuthorizedWebIdentity(action string) *rejection {
	return &rejection{status: http.StatusForbidden, code: "AccessDenied", message: "Not authorized to perform " + action}
}

func notAuthorized(caller, action, roleARN string) *rejection {
	return &rejection{
		status: http.StatusForbidden, code: "AccessDenied",
		message: fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", caller, action, roleARN),
	}
}

// mfaFailed has two spaces after the period, as in AWS's message.
func mfaFailed() *rejection {
	return forbidden("AccessDenied", "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.")
}

func durationTooLong() *rejection {
	return invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
}

func chainDurationTooLong() *rejection {
	return invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
}

func malformedPolicy(message string) *rejection {
	return &rejection{status: http.StatusBadRequest, code: "MalformedPolicyDocument", message: message}
}

func packedPolicyTooLarge(percent int) *rejection {
	return &rejection{
		status: http.StatusBadRequest, code: "PackedPolicyTooLarge",
		message: fmt.Sprintf("Packed policy consumes %d%% of allotted space, please use smaller policy.", percent),
	}
}

func packedTagsTooLarge(percent int) *rejection {
	return &rejection{
		status: http.StatusBadRequest, code: "PackedPolicyTooLarge",
		message: fmt.Sprintf("Packed size of session tags consumes %d%% of allotted space.", percent),
	}
}

// Rejections of signed requests. The messages are from
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
// or, for codes without a section there, from public reports.

func forbidden(code, message string) *rejection {
	return &rejection{status: http.StatusForbidden, code: code, message: message}
}

func unsignedRequest() *rejection {
	return forbidden("MissingAuthenticationToken", "Request is missing Authentication Token")
}

func incompleteSignature(message string) *rejection {
	return &rejection{status: http.StatusBadRequest, code: "IncompleteSignature", message: message}
}

func unknownSession() *rejection {
	return forbidden("InvalidClientTokenId", "The security token included in the request is invalid.")
}

func expiredSession() *rejection {
	return forbidden("ExpiredToken", "The security token included in the request is expired")
}

func badSignatureV4() *rejection {
	return forbidden("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. "+
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
}

// violations are violated constraints, worded as in public reports of AWS's responses.
type violations []string

func (v violations) rejection() *rejection {
	switch len(v) {
	case 0:
		return nil
	case 1:
		return invalid("1 validation error detected: " + v[0])
	default:
		return invalid(fmt.Sprintf("%d validation errors detected: %s", len(v), strings.Join(v, "; ")))
	}
}
