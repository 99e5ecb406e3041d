package irsa

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/irsakit/irsakit/internal/explain"
)

// The kinds of errors, for use with errors.Is. They are part of the API contract; error messages are
// not.
var (
	ErrNotConfigured  = explain.ErrNotConfigured  // a setting is missing or invalid
	ErrTokenFile      = explain.ErrTokenFile      // the token cannot be read or is not a JWT
	ErrTokenExpired   = explain.ErrTokenExpired   // STS rejected the token as expired
	ErrTokenRejected  = explain.ErrTokenRejected  // STS rejected the token: OIDC provider, audience or key
	ErrAccessDenied   = explain.ErrAccessDenied   // STS denied access: a trust policy or a permission is missing
	ErrThrottled      = explain.ErrThrottled      // STS throttled the request
	ErrUnavailable    = explain.ErrUnavailable    // STS or the issuer failed or was unreachable, or the context was done
	ErrInvalidRequest = explain.ErrInvalidRequest // a parameter, the region or the argument of MinTTL was rejected
	ErrClosed         = explain.ErrClosed         // the Provider has been closed
	ErrRejected       = explain.ErrRejected       // the credentials were rejected or withdrawn, and are not replaced yet
)

// ErrPoolFull is the kind of error returned by [Pool.Provider] and [Provider.AssumeRole] if the Pool has
// no room for another role of the tenant. Try again later, or raise PoolOptions.MaxRoles.
var ErrPoolFull = errors.New("pool full")

// ErrNotInjected means that the pod does not use IRSA. New and [Pool.Provider] wrap it in an
// [ErrNotConfigured] error if AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE and the options set neither a
// role nor a token. A program that also runs outside of pods can then use other credentials, but it
// should not do so after any other error, because it would act as another identity.
var ErrNotInjected = explain.ErrNotInjected

// Error is returned by [New], [NewPool], [Pool.Provider], [Provider.AssumeRole] and every method that
// needs credentials. Callers must not modify it, because all callers of a Provider share an Error
// until the next exchange. Use errors.Is to test for its kind and for its cause, such as
// fs.ErrNotExist or context.DeadlineExceeded. errors.As finds the SDK's smithy.APIError, but not the
// SDK's errors that contain the request or the response. An Error contains no secrets: if a server
// repeats parts of the token, a secret key or a session token, they are replaced with "[redacted]".
//
// The message is at most 300 bytes long, and is always the same for the same cause, so that a
// controller can write it to a status. The verb %+v prints all details, and slog handlers receive an
// Error as a group containing its message and facts. Errors of service clients wrap the Error but
// print only its message, so use errors.As to find it.
type Error struct {
	Kind error // one of the Err variables

	RoleARN     string
	Source      string // the role that assumes RoleARN; empty for a web identity
	SessionName string
	Endpoint    string // the URL of STS; empty if a client of the application is used
	Region      string
	TokenFile   string // empty if the tokens do not come from a file

	// The unverified claims of the token. They are zero if the token could not be read. Claims that
	// are too long for a service account token are shortened.
	Issuer      string
	Subject     string
	Audience    []string
	TokenExpiry time.Time

	Code        string    // STS's error code; empty unless it consists of at most 64 letters, digits and "._-"
	RequestID   string    // the response's request ID; restricted like Code
	NextAttempt time.Time // when the next attempt starts; zero if immediately or never

	// Advice describes how to fix the failure, in one line. If possible, it includes the setting,
	// command or policy statement to apply. Link is the URL of a section of TROUBLESHOOTING.md that
	// explains the failure. Either may be empty, and their values are not part of the API contract.
	Advice string
	Link   string

	fix   string // a short form of Advice, at most 80 bytes
	cause string // without details that vary between failures with the same cause
	more  int    // the number of additional causes
	err   error
}

// maxText, maxDetails and maxFix bound the message of an Error, its output for %+v, and the fix in the
// message, in bytes.
const (
	maxText    = 300
	maxFix     = 80
	maxDetails = 4<<10 - 1
)

// Error returns a single line of at most 300 bytes: the kind, the cause, the role or the token's
// subject, the fix, and a link. It is always the same for the same cause.
func (e *Error) Error() string {
	kind := strings.TrimPrefix(fmt.Sprint(e.Kind), "cache: ")
	tail := e.about()
	for _, part := range [][2]string{{": ", e.fix}, {"; see ", e.Link}} {
		if part[1] != "" {
			tail += part[0] + part[1]
		}
	}
	text := "irsa: " + kind
	if cause := strings.TrimPrefix(e.cause, "cache: "); cause != "" && cause != kind {
		text += ": " + explain.CutMiddle(cause, maxText-len(text)-len(": ")-len(tail))
	}
	return explain.OneLine(text + tail)
}

// about returns the role or subject and the number of additional causes, in parentheses.
func (e *Error) about() string {
	const most = 72 // with the other parts at their longest, this leaves 20 bytes for the cause
	var facts []string
	switch {
	case e.RoleARN != "":
		facts = append(facts, "role "+explain.CutMiddle(explain.OneLine(e.RoleARN), most))
	case e.Subject != "":
		facts = append(facts, "subject "+explain.CutMiddle(explain.OneLine(e.Subject), most))
	}
	switch {
	case e.more == 1:
		facts = append(facts, "and 1 more error")
	case e.more > 1:
		facts = append(facts, fmt.Sprintf("and %d more errors", e.more))
	}
	if len(facts) == 0 {
		return ""
	}
	return " (" + strings.Join(facts, ", ") + ")"
}

// facts returns the known facts. The request ID is always included.
func (e *Error) facts() []slog.Attr {
	const most = 256
	attrs := []slog.Attr{slog.String("request_id", e.RequestID)}
	for _, fact := range [][2]string{
		{"kind", strings.TrimPrefix(fmt.Sprint(e.Kind), "cache: ")}, {"code", e.Code}, {"role", e.RoleARN}, {"source", e.Source},
		{"session", e.SessionName}, {"region", e.Region}, {"endpoint", e.Endpoint}, {"token_file", e.TokenFile},
		{"issuer", e.Issuer}, {"subject", e.Subject}, {"audience", strings.Join(e.Audience, ",")},
	} {
		if fact[1] != "" {
			attrs = append(attrs, slog.String(fact[0], explain.OneLine(explain.Cut(fact[1], most))))
		}
	}
	if !e.TokenExpiry.IsZero() {
		attrs = append(attrs, slog.Time("token_expiry", e.TokenExpiry.UTC()))
	}
	if !e.NextAttempt.IsZero() {
		attrs = append(attrs, slog.Time("next_attempt", e.NextAttempt.UTC()))
	}
	return attrs
}

// LogValue returns a group containing the message, under the key "text", and the facts.
func (e *Error) LogValue() slog.Value {
	return slog.GroupValue(append([]slog.Attr{slog.String("text", e.Error())}, e.facts()...)...)
}

// Format prints the message. For %+v it also prints the full cause, the facts and the advice, each on
// its own line, in less than 4 KiB in total.
func (e *Error) Format(f fmt.State, verb rune) {
	if verb != 'v' || !f.Flag('+') {
		fmt.Fprintf(f, fmt.FormatString(f, verb), e.Error())
		return
	}
	var b strings.Builder
	b.WriteString(e.Error())
	line := func(name, value string, most int) {
		if value != "" {
			fmt.Fprintf(&b, "\n    %s: %s", name, explain.OneLine(explain.Cut(value, most)))
		}
	}
	line("advice", e.Advice, 1200)
	line("link", e.Link, maxText)
	if root := e.root(); root != nil {
		line("cause", root.Error(), 800)
	}
	for _, fact := range e.facts() {
		line(fact.Key, fact.Value.String(), maxText)
	}
	_, _ = f.Write([]byte(explain.Cut(b.String(), maxDetails)))
}

// root returns the cause, without any Errors that wrap it.
func (e *Error) root() error {
	var inner *Error
	for errors.As(e.err, &inner) {
		e = inner
	}
	return e.err
}

// Is reports whether target is the error's kind.
func (e *Error) Is(target error) bool { return target == e.Kind }

// Permanent reports whether the error requires a change to the configuration, IAM or the token rather
// than a retry. It returns true for [ErrClosed]. An open Provider retries even after a permanent
// error, but less often.
func (e *Error) Permanent() bool { return e.Is(ErrClosed) || explain.Permanent(e) }

// RetryableError returns false. The SDK's service clients therefore do not retry a request that has no
// credentials: the Provider retries, with a backoff of its own.
func (e *Error) RetryableError() bool { return false }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.err }
