package exchange

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/internal/jwt"
	"github.com/irsakit/irsakit/internal/lazyregexp"
	"github.com/irsakit/irsakit/tokenfile"
)

// secrets are strings that must not be printed: no output may contain secretRun or more consecutive
// characters of any of them.
type secrets []string

const (
	secretRun = 12
	sample    = 4 // length of the samples of a run; few texts contain one by chance
	redacted  = "[redacted]"
)

// secretsOf returns the payload and signature of a token. The header is not secret, because many
// tokens share it.
func secretsOf(token *tokenfile.Token) secrets {
	if token == nil {
		return nil
	}
	return secretsIn(token.Reveal())
}

// secretsIn is like secretsOf, for a token in a string.
func secretsIn(token string) secrets {
	_, rest, _ := strings.Cut(token, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	return secrets{payload, signature}
}

func (s secrets) contain(run string) bool {
	return slices.ContainsFunc(s, func(secret string) bool { return strings.Contains(secret, run) })
}

// find returns the start and end of the first run of a secret in text, or an end of 0 if there is
// none.
func (s secrets) find(text string) (start, end int) {
	for start+secretRun <= len(text) {
		end = start + secretRun
		switch {
		case !s.contain(text[end-sample : end]):
			start = end - sample + 1 // no run contains the sample
		case !s.contain(text[start:end]):
			start++
		default:
			for end < len(text) && s.contain(text[end+1-secretRun:end+1]) {
				end++
			}
			return start, end
		}
	}
	return 0, 0
}

// occurIn reports whether text contains a run of a secret.
func (s secrets) occurIn(text string) bool {
	_, end := s.find(text)
	return end > 0
}

// redact replaces runs of secrets in text, and anything that looks like a token, because a proxy can
// respond with the token of another request.
func (s secrets) redact(text string) string { return s.redactRuns(redactTokens(text)) }

func (s secrets) redactRuns(text string) string {
	var b strings.Builder
	for {
		start, end := s.find(text)
		if end == 0 {
			return b.String() + text
		}
		b.WriteString(text[:start])
		b.WriteString(redacted)
		text = text[end:]
	}
}

// redactError returns err, or an error with a redacted message if the message of err contains a
// secret.
func (s secrets) redactError(err error) error {
	return redactError(err, s.redact)
}

// recoverPanic converts a panic in user code to an error with secrets redacted. It must be deferred.
func (s secrets) recoverPanic(what string, err *error) {
	if r := recover(); r != nil {
		*err = s.redactError(RedactTokens(fmt.Errorf("%s panicked: %v", what, r)))
	}
}

// RedactTokens returns err, or an error with a redacted message if the message of err contains
// anything that looks like a token.
func RedactTokens(err error) error { return redactError(err, redactTokens) }

// redactTokens replaces anything that looks like a JWT, whether complete or truncated, and even if
// split across lines or base64-encoded. It is for messages that may contain unknown tokens, such as
// errors of token sources.
func redactTokens(text string) string {
	return redactEncoded(looksLikeToken.ReplaceAllString(text, redacted))
}

// looksLikeToken matches the base64 encoding of {" or of { followed by white space, and anything that
// can continue a JWT: parts that follow a dot, and long parts that follow white space. Both
// separators can be escaped.
var looksLikeToken = lazyregexp.New(`(eyJ|eyA[gi]|ewo[Jgi]|ew0K|ewk[Ji])[\w-]{9,}` +
	`(` + space + `*(\.|%2[Ee])` + space + `*[\w-]+|` + space + `+[\w-]{12,})*`)

// encodedStart matches the base64 encoding of eyJ, at each of its three alignments, and 20 more
// characters. Ordinary names match too, such as ConsoleUploadServiceRole. encodedRest matches what can
// continue it.
var (
	encodedStart = lazyregexp.New(`(ZXlK|[2GWm]V5S|leU[op])[\w+/-]{20}`)
	encodedRest  = lazyregexp.New(`^[\w+/-]*=*(` + space + `+[\w+/-]{12,}=*)*`)
)

// redactEncoded replaces base64-encoded JWTs.
func redactEncoded(text string) string {
	var b strings.Builder
	for {
		at := encodedStart.FindStringSubmatchIndex(text)
		if at == nil {
			return b.String() + text
		}
		start, end := at[0], at[1]
		if !isEncodedToken(text[start:end]) {
			b.WriteString(text[:start+1])
			text = text[start+1:]
			continue
		}
		b.WriteString(text[:start] + redacted)
		text = text[end+encodedRest.FindStringSubmatchIndex(text[end:])[1]:]
	}
}

// isEncodedToken reports whether a match of encodedStart decodes to the beginning of a JWT.
func isEncodedToken(match string) bool {
	url := strings.NewReplacer("+", "-", "/", "_").Replace(match)
	for _, before := range []string{"", "A", "AAB"} { // complete the first group at each alignment
		decoded, err := base64.RawURLEncoding.DecodeString(before + url[:20-len(before)])
		_, rest, found := strings.Cut(string(decoded), "eyJ")
		if err == nil && found && !strings.ContainsFunc(rest, func(r rune) bool { return !jwt.IsTokenRune(r) }) {
			return true
		}
	}
	return false
}

// space matches white space, also escaped.
const space = `(\s|\\[nrt]|%0[ADad9])`

// maxRedacted is the maximum length of an error message in bytes. Longer messages are truncated.
const maxRedacted = 16 << 10

// redactError returns err, or a redactedError if the message of err is too long or redact changes it.
func redactError(err error, redact func(string) string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	limited := text
	if len(text) > maxRedacted {
		limited = explain.Shorten(text)
	}
	clean := redact(limited)
	if clean == text {
		return err
	}
	return newRedactedError(clean, err)
}

// newRedactedError returns an error with the given text and the kinds of err.
func newRedactedError(text string, err error) *redactedError {
	e := &redactedError{text: text}
	for _, kind := range []error{context.Canceled, context.DeadlineExceeded, fs.ErrNotExist, fs.ErrPermission, tokenfile.ErrMalformed, explain.ErrPanic} {
		if errors.Is(err, kind) {
			e.kinds = append(e.kinds, kind)
		}
	}
	return e
}

// redactedError replaces an error that contains a secret or is too long. It preserves the error kinds
// for errors.Is.
type redactedError struct {
	text  string
	kinds []error
}

func (e *redactedError) Error() string   { return e.text }
func (e *redactedError) Unwrap() []error { return e.kinds }

// identifier returns text if it is plausible as an error code or request ID and contains no secret,
// or "" otherwise. It accepts at most 64 letters, digits, dots, hyphens and underscores.
func (s secrets) identifier(text string) string {
	other := func(r rune) bool { return !jwt.IsTokenRune(r) }
	if len(text) > 64 || strings.ContainsFunc(text, other) || s.occurIn(text) || strings.Contains(text, "eyJ") {
		return ""
	}
	return text
}
