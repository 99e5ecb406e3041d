package explain

import (
	"errors"
	"strings"

	"github.com/irsakit/irsakit/internal/lazyregexp"
	"github.com/irsakit/irsakit/tokenfile"
)

// Cause returns the message of err on one line. It replaces times, addresses, ports and request IDs,
// so that failures with the same cause have the same message, and removes the token file's path in
// parentheses at the end.
func Cause(err error, file string) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	var failure *RequestError
	if errors.As(err, &failure) && failure.Code != "" {
		text = failure.Code
		if failure.Message != "" {
			message, _, _ := strings.Cut(failure.Message, reference)
			text += ": " + strings.TrimRight(withoutARNs(strings.TrimPrefix(message, "1 validation error detected: ")), ", ")
		}
	}
	text = strings.TrimPrefix(strings.TrimPrefix(text, "tokenfile: "), tokenfile.ErrMalformed.Error()+": ")
	text = strings.TrimSuffix(text, " ("+file+")")
	return strings.Join(strings.Fields(OneLine(constant(text))), " ")
}

// reference begins the part of an STS message that does not describe the failure.
const reference = "please reference AssumeRoleWithWebIdentity documentation"

// denied matches AWS's message for a denied request. It captures the action and the ending.
var denied = lazyregexp.New(`(?s)^User: \S+ is not authorized to perform: (\S+)(?: on resource: \S+)?(.*)$`)

// withoutARNs shortens the STS message for a denied request, mainly by removing the ARNs of the
// caller and the role.
func withoutARNs(message string) string {
	match := denied.FindStringSubmatch(message)
	if match == nil {
		return message
	}
	text, ending := match[1]+" not authorized", strings.TrimSpace(match[2])
	ending = strings.TrimPrefix(strings.TrimPrefix(ending, "because "), "with an ")
	if ending = strings.Replace(ending, " allows the "+match[1]+" action", " allows it", 1); ending != "" {
		text += ": " + ending
	}
	return text
}

var (
	clockTimes = lazyregexp.New(`\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?|\b\d{8}T\d{6}Z` +
		`|\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [A-Z]{3,4}`)
	unixTimes  = lazyregexp.New(`(\b|date/time)\d{9,10}\b`)
	durations  = lazyregexp.New(`\b(?:\d+(?:\.\d+)?(?:ns|µs|ms|h|m|s))+\b`)
	requestIDs = lazyregexp.New(`\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b`)
	addresses  = lazyregexp.New(`(?:\b\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F]*:[0-9a-fA-F:.%a-z0-9]*\])(?::\d+)?\b`)
	ports      = lazyregexp.New(`(\.[A-Za-z][A-Za-z0-9-]*|\blocalhost):\d{2,5}\b`)
	streams    = lazyregexp.New(`\b(stream ID |LastStreamID=)\d+`)
)

// constant replaces the parts of text that vary between failures with the same cause.
func constant(text string) string {
	text = requestIDs.ReplaceAllString(text, "<id>")
	text = clockTimes.ReplaceAllString(text, "<time>")
	text = unixTimes.ReplaceAllString(text, "$1<time>")
	text = addresses.ReplaceAllString(text, "<address>")
	text = ports.ReplaceAllString(text, "$1:<port>")
	text = streams.ReplaceAllString(text, "$1<id>")
	text = durations.ReplaceAllString(text, "<duration>")
	text = strings.ReplaceAll(text, " on <address>: no such host", ": no such host") // the DNS server's address
	return strings.ReplaceAll(text, "<address>-><address>", "<address>")
}

// Cut returns text truncated to limit bytes, ending in "..." if it was longer.
func Cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:max(0, limit-3)], "") + "..."
}

// CutMiddle returns text truncated to limit bytes, with "..." before its last third if it was longer.
func CutMiddle(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	limit = max(limit, len("..."))
	end := (limit - 3) / 3
	return strings.ToValidUTF8(text[:limit-3-end]+"..."+text[len(text)-end:], "")
}

// CutClaims returns claims truncated for use in an error. IAM accepts issuers and client IDs of at
// most 255 characters.
func CutClaims(c tokenfile.Claims) tokenfile.Claims {
	const most, mostAudiences = 400, 20
	c.Issuer, c.Subject, c.Pod = Cut(c.Issuer, most), Cut(c.Subject, most), Cut(c.Pod, most)
	c.Namespace, c.ServiceAccount = Cut(c.Namespace, most), Cut(c.ServiceAccount, most)
	audiences := c.Audience
	c.Audience = nil
	for _, audience := range audiences[:min(len(audiences), mostAudiences)] {
		c.Audience = append(c.Audience, Cut(audience, most))
	}
	return c
}
