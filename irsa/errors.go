package irsa

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/irsakit/irsakit/cache"
)

// The kinds of failure, for errors.Is. They are contract; the texts of errors are
// not.
var (
	ErrNotConfigured  = errors.New("not configured")       // a setting is missing or invalid
	ErrTokenFile      = errors.New("token cannot be read") // nor is there one in the file
	ErrTokenExpired   = errors.New("token expired")        // says STS
	ErrTokenRejected  = errors.New("token rejected")       // by STS: its provider, audience or key
	ErrAccessDenied   = errors.New("access denied")        // the role does not trust the token
	ErrThrottled      = errors.New("throttled")            // by STS
	ErrUnavailable    = errors.New("STS unavailable")      // no answer, or none from STS
	ErrInvalidRequest = errors.New("invalid request")      // something that was asked for cannot be had
	ErrClosed         = cache.ErrClosed                    // the Provider has been closed
	ErrRefused        = cache.ErrRefused                   // a service refused the credentials, and new ones are not there yet
)

// Error is what New and every method that needs credentials return when they fail. errors.Is tells
// its kind, and what caused it, such as fs.ErrNotExist or context.DeadlineExceeded;
// errors.As finds the SDK's smithy.APIError in it, but none of its errors that hold the request or
// the response. It contains no secret: whatever a server repeats of the token, of a secret key or
// of a session token is replaced by "[redacted]".
type Error struct {
	Kind error // one of the Err variables

	RoleARN     string
	SessionName string
	Endpoint    string // the URL of STS; empty where Options.STS is used
	Region      string
	TokenFile   string // empty where the tokens come from elsewhere

	// What the token says of itself, where it could be read.
	Issuer      string
	Subject     string
	Audience    []string
	TokenExpiry time.Time

	Code        string    // STS's error code, if the response has one of at most 64 letters and digits
	RequestID   string    // of the response, likewise
	NextAttempt time.Time // when it is tried again; zero where that is now, or never

	// Cure is what to do about it, in one line, and Link leads to the heading of
	// TROUBLESHOOTING.md that tells more. Either may be empty. Their text is not
	// contract.
	Cure string
	Link string

	issuedAt time.Time // of the token
	err      error
}

// Error returns one line: what failed, the facts, what to do about it, and where to
// read more.
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
	if e.Is(ErrUnavailable) && e.Code == "" { // which way did the request go?
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
	if e.Cure != "" {
		fmt.Fprintf(&b, ": %s", e.Cure)
	}
	if e.Link != "" {
		fmt.Fprintf(&b, "; see %s", e.Link)
	}
	if !e.NextAttempt.IsZero() {
		fmt.Fprintf(&b, "; next attempt at %s", e.NextAttempt.UTC().Format(time.RFC3339))
	}
	return oneLine(b.String())
}

// oneLine returns text without characters that move or hide others: those of joined
// errors, and those of claims that nobody has verified.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ReplaceAll(text, "\n", "; "))
}

// Is says whether target is the error's kind.
func (e *Error) Is(target error) bool { return target == e.Kind }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.err }
