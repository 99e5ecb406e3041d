package irsa

import (
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/irsakit/irsakit/internal/schedule"
)

const (
	// maxReply bounds the body of a successful response. STS sends about 2 KiB, most of it
	// the session token, whose size AWS does not specify.
	maxReply = 256 << 10

	// maxErrorBody bounds how much is read of any other response.
	maxErrorBody = 64 << 10
)

// response is what the library's transport saw of one request to STS. A failure is judged by
// it and not by the SDK's error, whose types and texts differ between versions of the SDK.
type response struct {
	err       error // of the HTTP client, if no response came
	status    int   // 0 if no response came
	requestID string
	body      errorBody // if the status is not 2xx
	bodyErr   error     // why the body could not be read to its end
	date      time.Time // of STS's clock; zero if unknown
	sent      time.Time // with the monotonic reading
	requested time.Duration
}

// errorBody is the body of a failed request: STS wraps the error in a document, S3 does not.
type errorBody struct {
	Code        string `xml:"Error>Code"`
	Message     string `xml:"Error>Message"`
	BareCode    string `xml:"Code"`
	BareMessage string `xml:"Message"`
}

// reply is the body of a successful request, of either action.
type reply struct {
	First   time.Time `xml:"AssumeRoleWithWebIdentityResult>Credentials>Expiration"`
	Chained time.Time `xml:"AssumeRoleResult>Credentials>Expiration"`
}

// newResponse returns the response to a request that is sent now.
func newResponse(requested time.Duration) *response {
	return &response{sent: time.Now(), requested: requested}
}

// recorder is an HTTP client that records the response and bounds its body.
type recorder struct {
	sts.HTTPClient
	response *response
}

func (c recorder) Do(request *http.Request) (*http.Response, error) {
	r := c.response
	*r = *newResponse(r.requested)
	response, err := c.HTTPClient.Do(request)
	if err != nil {
		r.err = err
		return response, err
	}
	r.status = response.StatusCode
	r.requestID = response.Header.Get("X-Amzn-Requestid")
	r.date = dateOf(response.Header)
	confirmed := false
	switch {
	case response.Body == nil:
	case r.succeeded():
		response.Body, confirmed, err = r.readReply(response.Body)
	default:
		response.Body = r.readError(response.Body)
		confirmed = isAboutTime(r.code(), r.message())
	}
	// The SDK's client sets the clock it signs with by every Date.
	if !confirmed {
		response.Header.Del("Date")
	}
	return response, err
}

// dateOf returns the Date of a response, or zero if it is missing, ambiguous, or not STS's: an
// Age header marks a response that a cache stored.
func dateOf(header http.Header) time.Time {
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

// expiry returns when credentials expire on the local wall clock, of which received is the
// only reading that counts. A mock records no response, so r.sent is then when it was called.
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

// readReply reads the body of a successful request and returns it for the SDK to read again. It
// reports whether the Date is STS's: STS grants the requested duration, so Expiration - Date
// equals it.
func (r *response) readReply(body io.ReadCloser) (again io.ReadCloser, confirmed bool, err error) {
	defer func() { _ = body.Close() }()
	text, err := io.ReadAll(http.MaxBytesReader(nil, body, maxReply))
	if err != nil {
		r.bodyErr = err
		return http.NoBody, false, err
	}
	var document reply
	if xml.Unmarshal(text, &document) == nil && !r.date.IsZero() {
		expiration := document.First
		if expiration.IsZero() {
			expiration = document.Chained
		}
		difference := expiration.Sub(r.date) - r.requested
		confirmed = difference.Abs() <= schedule.DateTolerance
	}
	return io.NopCloser(bytes.NewReader(text)), confirmed, nil
}

// readError reads the body of a failed request and returns it for the SDK to read again.
func (r *response) readError(body io.ReadCloser) io.ReadCloser {
	defer func() { _ = body.Close() }()
	text, err := io.ReadAll(io.LimitReader(body, maxErrorBody))
	r.bodyErr = err
	_ = xml.Unmarshal(text, &r.body) // fills in what comes before a syntax error
	return io.NopCloser(bytes.NewReader(text))
}

// isAboutTime reports whether STS rejected the time of a signature. It does so after the local
// clock was stepped, and then its Date is the only way to learn the difference.
func isAboutTime(code, message string) bool {
	switch code {
	case "RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed":
		return true
	case "SignatureDoesNotMatch":
		return strings.HasPrefix(message, "Signature expired") || strings.HasPrefix(message, "Signature not yet current")
	}
	return false
}

// requestError is why a request to STS failed. Its text is the library's own, but for the code
// and the message of STS and the cause that the network stack gave.
type requestError struct {
	status    int    // 0 if no response came
	code      string // empty if the response has none
	message   string
	requestID string
	text      string
	err       error
}

func (e *requestError) Error() string { return e.text }
func (e *requestError) Unwrap() error { return e.err }

// failure returns the error of a call with the settings' client for which the SDK returned err.
func (s *settings) failure(r *response, err error, secrets ...string) error {
	if client, ok := s.client.(*sts.Client); ok && r.status == 0 && r.err == nil && client.Options().Region == "" {
		return errNoRegion
	}
	return r.failure(err, secrets...)
}

// failure returns the error of a call for which the SDK returned err. It contains none of the
// secrets: a server, or a proxy in front of it, can repeat the request in its response.
func (r *response) failure(err error, secrets ...string) error {
	clean := redactor(secrets)
	e := &requestError{status: r.status, requestID: r.requestID}
	switch {
	case r.err != nil:
		e.err, e.text = r.err, unsentText(r.err)
	case r.status == 0:
		e.describe(err)
	case r.code() != "":
		e.code, e.message, e.err = r.code(), r.message(), err
	case r.bodyErr != nil:
		e.err, e.text = r.bodyErr, brokenText(r.bodyErr)
	case r.succeeded():
		e.err = fmt.Errorf("the reply has no credentials: %w", errNotSTS)
	default:
		e.err, e.text = errNotSTS, fmt.Sprintf("the reply is an error without a code (HTTP %d)", r.status)
	}
	e.message = clean(e.message)
	e.text = shortened(clean(cmp.Or(e.text, e.codeText(), e.err.Error())))
	if text := e.err.Error(); e.code != "" && !e.isKept() || clean(text) != text {
		e.err = e.redacted(clean)
	}
	return e
}

func (r *response) code() string    { return cmp.Or(r.body.Code, r.body.BareCode) }
func (r *response) message() string { return cmp.Or(r.body.Message, r.body.BareMessage) }

// describe takes over the error of a client that made no HTTP request: a mock, or an SDK client
// that failed before it sent one.
func (e *requestError) describe(err error) {
	e.err = err
	var status interface{ HTTPStatusCode() int }
	if errors.As(err, &status) {
		e.status = status.HTTPStatusCode()
	}
	var request interface{ ServiceRequestID() string }
	if errors.As(err, &request) {
		e.requestID = request.ServiceRequestID()
	}
	var api smithy.APIError
	switch {
	case !errors.As(err, &api):
		e.text = timeoutText(err)
	case api.ErrorCode() == unknownCode:
		e.err, e.text = errNotSTS, fmt.Sprintf("the reply is an error without a code (HTTP %d)", e.status)
	default:
		e.code, e.message = api.ErrorCode(), api.ErrorMessage()
	}
}

// unknownCode is the code that the SDK's clients give to a response without one.
const unknownCode = "UnknownError"

func (e *requestError) codeText() string {
	text := e.code
	if e.message != "" {
		text += ": " + e.message
	}
	if e.code != "" && e.status != 0 {
		text += fmt.Sprintf(" (HTTP %d)", e.status)
	}
	return text
}

// isKept reports whether the SDK's error is the one that the response contains.
func (e *requestError) isKept() bool {
	var api smithy.APIError
	return errors.As(e.err, &api) && api.ErrorCode() == e.code
}

// redacted returns an error in place of one that does not match the response, or that contains
// a secret.
func (e *requestError) redacted(clean func(string) string) error {
	if e.code != "" {
		return &smithy.GenericAPIError{Code: clean(e.code), Message: e.message}
	}
	return errors.New(clean(e.err.Error()))
}

// unsentText returns the text of an HTTP client's error, without the method and the URL.
func unsentText(err error) string {
	if text := timeoutText(err); text != "" {
		return text
	}
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err.Error()
	}
	return err.Error()
}

func brokenText(err error) string {
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return fmt.Sprintf("the reply cannot be read: it is longer than %d bytes", tooLong.Limit)
	}
	if text := timeoutText(err); text != "" {
		return text
	}
	return "the reply cannot be read: " + err.Error()
}

// timeoutText returns "" for an error that is not the end of the attempt's time.
func timeoutText(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer in time: %v", context.DeadlineExceeded)
	}
	return ""
}

// shortened cuts what a server sent to a length that fits a log line.
func shortened(text string) string {
	const most = 1 << 10
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// redactor returns a function that replaces the secrets in a text.
func redactor(secrets []string) func(string) string {
	var pairs []string
	for _, secret := range secrets {
		if secret != "" {
			pairs = append(pairs, secret, "[redacted]")
		}
	}
	return strings.NewReplacer(pairs...).Replace
}
