package irsametrics

import "github.com/irsakit/irsakit/irsa"

// The values of the label outcome.
const (
	success = "success"
	failure = "failure"
)

// noKind is the kind of what did not fail.
const noKind = "none"

// kinds are the values of the label kind.
var kinds = map[error]string{
	irsa.ErrNotConfigured:  "not_configured",
	irsa.ErrTokenFile:      "token_file",
	irsa.ErrTokenExpired:   "token_expired",
	irsa.ErrTokenRejected:  "token_rejected",
	irsa.ErrAccessDenied:   "access_denied",
	irsa.ErrThrottled:      "throttled",
	irsa.ErrUnavailable:    "unavailable",
	irsa.ErrInvalidRequest: "invalid_request",
	irsa.ErrClosed:         "closed",
	irsa.ErrRefused:        "refused",
}

// kindOf names the kind of a failure.
func kindOf(kind error) string {
	if name, ok := kinds[kind]; ok {
		return name
	}
	return "other" // of a newer irsa
}
