package irsametrics

import "github.com/irsakit/irsakit/irsa"

// Values of the outcome label.
const (
	success = "success"
	failure = "failure"
)

// noKind is the value of the kind label for successful attempts.
const noKind = "none"

// kinds maps error kinds to values of the kind label.
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
	irsa.ErrRejected:       "rejected",
}

// kindLabel returns the value of the kind label for an error kind.
func kindLabel(kind error) string {
	if name, ok := kinds[kind]; ok {
		return name
	}
	return "other" // a kind added by a newer version of irsa
}
