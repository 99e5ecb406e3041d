package irsametrics

import "github.com/irsakit/irsakit/irsa"

// Values of the label outcome.
const (
	success = "success"
	failure = "failure"
)

// noKind is the value of the label kind for attempts that succeeded.
const noKind = "none"

// kinds maps the kinds of errors to the values of the label kind.
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

// kindLabel returns the value of the label kind for the kind of an error.
func kindLabel(kind error) string {
	if name, ok := kinds[kind]; ok {
		return name
	}
	return "other" // a kind added by a newer version of irsa
}
