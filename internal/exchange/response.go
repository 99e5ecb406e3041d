package exchange

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/irsakit/irsakit/internal/awserror"
	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/internal/schedule"
)

const (
	// maxReply limits the body of a successful response. Most of it is the session token, for which
	// AWS specifies no maximum size.
	maxReply = 256 << 10

	// maxErrorBody limits how much of any other response is read.
	maxErrorBody = 64 << 10
)

// response records an STS response. Errors are classified by this record rather than by the SDK's
// error, whose type and message vary by SDK version.
type response struct {
	sent      time.Time     // includes the monotonic clock reading
	requested time.Duration // the requested duration
	secrets   secrets       // the secrets in the request

	err       error // the HTTP client's error if there was no response
	status    int   // 0 if there was no response
	requestID string
	date      time.Time // the time at STS, or zero if unknown
	code      string    // STS's error code, or empty
	message   string
	bodyErr   error // the error from reading the body

	retryAfter time.Duration // the delay requested by the server
	result     result
}

// errorDocument is the body of an error response. STS wraps the error in an outer element, but S3
// does not.
type errorDocument struct {
	Code        string `xml:"Error>Code"`
	Message     string `xml:"Error>Message"`
	BareCode    string `xml:"Code"`
	BareMessage string `xml:"Message"`
}

// recorder is an HTTP client that records the response. The SDK's errors, logs and spans contain
// parts of what it reads, so the recorder passes on a successful response without its body, and any
// other response without secrets.
type recorder struct {
	sts.HTTPClient
	response  *response
	recording *recording
}

func (c recorder) Do(request *http.Request) (*http.Response, error) {
	r := c.response
	defer c.recording.add(r)
	*r = c.recording.begin()
	r.sent = time.Now()
	if r.err = c.checkCleartext(request.URL); r.err != nil {
		return nil, r.err
	}
	if session := request.Header.Get("X-Amz-Security-Token"); session != "" {
		r.secrets = append(slices.Clip(r.secrets), session) // the application's client may sign with credentials of its own
	}
	response, err := c.HTTPClient.Do(request)
	if err != nil {
		r.err = r.secrets.redactError(ClientError(err))
		return nil, r.err
	}
	body := Body(response)
	defer func() { _ = body.Close() }()
	if r.err = checkOrigin(response); r.err != nil {
		return nil, r.err
	}
	r.status = response.StatusCode
	r.requestID = r.secrets.identifier(response.Header.Get("X-Amzn-Requestid"))
	r.date = DateOf(response.Header)
	r.retryAfter = schedule.ParseRetryAfter(response.Header.Get("X-Amz-Retry-After"))
	if r.succeeded() {
		if r.readResult(body, response.ContentLength); r.bodyErr != nil {
			return nil, r.bodyErr
		}
		return r.http(request, nil, r.isDateOfSTS()), nil
	}
	r.readError(body)
	return r.http(request, r.errorDocument(), isAboutTime(r.code, r.message)), nil
}

// checkCleartext returns an error if the token must not be sent to u. The library's own client uses no
// proxy for a loopback address, but the application's may.
func (c recorder) checkCleartext(u *url.URL) error {
	server := u.Scheme + "://" + u.Host
	if !c.recording.config.MaySendToken(u) {
		return fmt.Errorf("the STS endpoint %s: %w", server, explain.ErrCleartext)
	}
	if u.Scheme != "http" {
		return nil
	}
	if proxy := proxyOf(c.HTTPClient, u); proxy != nil && !c.recording.config.MaySendToken(&url.URL{Scheme: "http", Host: proxy.Host}) {
		return fmt.Errorf("the connection to %s goes through the proxy %s: %w", server, proxy.Host, explain.ErrCleartext)
	}
	return nil
}

// checkOrigin returns an error if the response is to a redirected request or is not an HTTP response.
func checkOrigin(response *http.Response) error {
	switch {
	case response.Request != nil && response.Request.Response != nil: // the client or its transport followed a redirect
		return errRedirected
	case response.StatusCode < 100:
		return errNoStatus
	default:
		return nil
	}
}

// Body returns the body of a response, or an empty body if the client returned none. The body of an
// HTTP 101 response also counts as empty, because it is a connection, and reads from it ignore the
// request's context.
func Body(response *http.Response) io.ReadCloser {
	switch {
	case response.Body == nil:
		return http.NoBody
	case response.StatusCode == http.StatusSwitchingProtocols:
		return struct {
			io.Reader
			io.Closer
		}{http.NoBody, response.Body}
	default:
		return response.Body
	}
}

// http returns the response for the SDK. The SDK's client adjusts its signing clock to any Date
// header, so the response includes one only if it is known to be from STS.
func (r *response) http(request *http.Request, body []byte, confirmed bool) *http.Response {
	header := http.Header{"Content-Type": {"text/xml"}}
	if r.requestID != "" {
		header.Set("X-Amzn-Requestid", r.requestID)
	}
	if confirmed && !r.date.IsZero() {
		header.Set("Date", r.date.UTC().Format(http.TimeFormat))
	}
	var content io.ReadCloser = http.NoBody // setResult fills in a successful result
	if len(body) > 0 {
		content = io.NopCloser(bytes.NewReader(body))
	}
	return &http.Response{
		Status: statusText(r.status), StatusCode: r.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: content, ContentLength: int64(len(body)), Request: request,
	}
}

// DateOf returns the Date of a response, or the zero time if it is missing, ambiguous or not set by
// STS. A response with an Age header comes from a cache.
func DateOf(header http.Header) time.Time {
	dates := header.Values("Date")
	if len(dates) != 1 || len(header.Values("Age")) > 0 {
		return time.Time{}
	}
	date, err := http.ParseTime(dates[0])
	if err != nil {
		return time.Time{}
	}
	return date
}

// expiry converts expiration to the local wall clock. received is the local time when the response
// was complete. For a mock, which records no response, r.sent is the time of the call.
func (r *response) expiry(expiration, received time.Time) time.Time {
	return schedule.Response{
		Expiration: expiration,
		Date:       r.date,
		Received:   received,
		RoundTrip:  schedule.At(received, r.sent).Since(schedule.At(r.sent, r.sent)),
		Duration:   r.requested,
	}.Expiry()
}

func (r *response) succeeded() bool { return r.status >= 200 && r.status < 300 }

// readError reads the body of an error response.
func (r *response) readError(body io.ReadCloser) {
	text, err := io.ReadAll(io.LimitReader(body, maxErrorBody))
	if err != nil {
		r.bodyErr = r.secrets.redactError(ClientError(err))
	}
	var document errorDocument
	_ = xml.Unmarshal(text, &document) // sets fields that precede a syntax error
	r.code = r.secrets.identifier(strings.TrimSpace(cmp.Or(document.Code, document.BareCode)))
	r.message = r.secrets.redact(explain.Shorten(strings.TrimSpace(cmp.Or(document.Message, document.BareMessage))))
}

// errorDocument returns the error body for the SDK, or nil if there is no error code.
func (r *response) errorDocument() []byte {
	if r.code == "" {
		return nil
	}
	var message bytes.Buffer
	_ = xml.EscapeText(&message, []byte(r.message)) // a Buffer never returns an error
	return fmt.Appendf(nil, "<ErrorResponse><Error><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", r.code, &message)
}

// isAboutTime reports whether STS rejected the time of a signature. In that case, only the response's
// Date shows how far the local clock is off.
func isAboutTime(code, message string) bool {
	switch {
	case awserror.Is(code, "RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"):
		return true
	case awserror.Is(code, "SignatureDoesNotMatch", "InvalidSignature"):
		return strings.HasPrefix(message, "Signature expired") || strings.HasPrefix(message, "Signature not yet current")
	}
	return false
}
