package irsa

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
)

// The kinds of errors, for use with errors.Is. They are part of the API contract; error
// texts are not.
var (
	ErrNotConfigured  = explain.ErrNotConfigured  // a setting is missing or invalid
	ErrTokenFile      = explain.ErrTokenFile      // the token cannot be read or is not a JWT
	ErrTokenExpired   = explain.ErrTokenExpired   // STS rejected the token as expired
	ErrTokenRejected  = explain.ErrTokenRejected  // STS rejected the token: OIDC provider, audience or key
	ErrAccessDenied   = explain.ErrAccessDenied   // the role does not trust the token
	ErrThrottled      = explain.ErrThrottled      // STS throttled the request
	ErrUnavailable    = explain.ErrUnavailable    // no response, or none from STS
	ErrInvalidRequest = explain.ErrInvalidRequest // a parameter of the request or of MinTTL was rejected
	ErrClosed         = explain.ErrClosed         // the Provider has been closed
	ErrRejected       = explain.ErrRejected       // a service rejected the credentials, and there are no new ones yet
)

// ErrPoolFull is the kind of the error of [Pool.Provider] if there is no room for another role of the
// tenant. Try again later, or raise PoolOptions.MaxRoles.
var ErrPoolFull = errors.New("pool full")

// ErrNotInjected is a cause of the errors of New and of [Pool.Provider], whose kind is
// [ErrNotConfigured], if there is neither a role nor a token: AWS_ROLE_ARN,
// AWS_WEB_IDENTITY_TOKEN_FILE and the options are not set. It means that the pod does not use IRSA.
// Programs that run elsewhere too can then use other credentials. For any other error they should
// not, because they would act as another identity.
var ErrNotInjected = config.ErrNotInjected

// Error is returned by New and by every method that needs credentials. Use errors.Is to test for
// its kind and for its cause, such as fs.ErrNotExist or context.DeadlineExceeded. errors.As finds
// the SDK's smithy.APIError in it, but none of the SDK's errors that contain the request or the
// response. An Error contains no secrets: parts of the token, a secret key or a session token that
// a server repeats are replaced with "[redacted]".
type Error struct {
	Kind error // one of the Err variables

	RoleARN     string
	SessionName string
	Endpoint    string // the URL of STS; empty if Options.STS is used
	Region      string
	TokenFile   string // empty if the tokens do not come from a file

	// The claims of the token, unverified. They are zero if the token could not be read.
	Issuer      string
	Subject     string
	Audience    []string
	TokenExpiry time.Time

	Code        string    // STS's error code, at most 64 letters, digits and "._-"; otherwise empty
	RequestID   string    // the response's request ID, with the same restriction
	NextAttempt time.Time // when the next attempt starts; zero if immediately or never

	// Advice is advice on how to fix the failure, in one line. Link is the URL of the section
	// of TROUBLESHOOTING.md that explains it. Both may be empty, and their texts are not
	// part of the API contract.
	Advice string
	Link   string

	err error
}

// Error returns a single line with the failure, the facts, the advice and its link.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "irsa: %v", e.Kind)
	if e.err != nil {
		fmt.Fprintf(&b, ": %v", e.err)
	}
	var facts []string
	fact := func(name, value string) {
		if value != "" {
			facts = append(facts, name+" "+value)
		}
	}
	fact("role", e.RoleARN)
	if e.Is(ErrUnavailable) && e.Code == "" { // the endpoint matters only if STS did not respond
		fact("endpoint", e.Endpoint)
	}
	fact("token issuer", e.Issuer)
	fact("subject", e.Subject)
	fact("audience", strings.Join(e.Audience, ","))
	if !e.TokenExpiry.IsZero() {
		fact("token expiry", e.TokenExpiry.UTC().Format(time.RFC3339))
	}
	if len(facts) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(facts, ", "))
	}
	if e.Advice != "" {
		fmt.Fprintf(&b, ": %s", e.Advice)
	}
	if e.Link != "" {
		fmt.Fprintf(&b, "; see %s", e.Link)
	}
	if !e.NextAttempt.IsZero() {
		fmt.Fprintf(&b, "; next attempt at %s", e.NextAttempt.UTC().Format(time.RFC3339))
	}
	return explain.OneLine(b.String())
}

// Is reports whether target is the error's kind.
func (e *Error) Is(target error) bool { return target == e.Kind }

// Permanent reports whether the error requires a change of the configuration, of IAM or of the token
// rather than a retry. The Provider retries in any case, but less often.
func (e *Error) Permanent() bool { return explain.Permanent(e) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.err }
