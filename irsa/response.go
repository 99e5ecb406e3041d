package irsa

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"

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
	sent      time.Time // with the monotonic reading
	requested time.Duration
	secrets   secrets // of the request

	err       error // of the HTTP client, if no response came
	status    int   // 0 if no response came
	requestID string
	date      time.Time // of STS's clock; zero if unknown
	code      string    // of the error; empty if there is none
	message   string
	bodyErr   error // why the body could not be read to its end

	retryAfter time.Duration // that the server asks for
}

// errorDocument is the body of a failed request: STS wraps the error in a document, S3 does not.
type errorDocument struct {
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

// newResponse returns the response to a request that is sent now and contains the secrets.
func newResponse(requested time.Duration, secrets secrets) *response {
	return &response{sent: time.Now(), requested: requested, secrets: secrets}
}

// recorder is an HTTP client that records the response, and gives the SDK one in which no peer
// repeats a secret: the SDK's errors, logs and spans contain parts of it.
type recorder struct {
	sts.HTTPClient
	settings *settings
	response *response
}

func (c recorder) Do(request *http.Request) (*http.Response, error) {
	r := c.response
	*r = *newResponse(r.requested, r.secrets)
	if !c.settings.mayCarry(request.URL) {
		r.err = fmt.Errorf("the STS endpoint %s://%s: %w", request.URL.Scheme, request.URL.Host, errCleartext)
		return nil, r.err
	}
	response, err := c.HTTPClient.Do(request)
	if err != nil {
		r.err = r.secrets.redactError(err)
		return nil, r.err
	}
	body := response.Body
	if body == nil {
		body = http.NoBody
	}
	defer func() { _ = body.Close() }()
	r.status = response.StatusCode
	r.requestID = r.secrets.identifier(response.Header.Get("X-Amzn-Requestid"))
	r.date = dateOf(response.Header)
	r.retryAfter = schedule.ParseRetryAfter(response.Header.Get("X-Amz-Retry-After"))
	if r.succeeded() {
		text, confirmed := r.readReply(body)
		if r.bodyErr != nil {
			return nil, r.bodyErr
		}
		return r.http(request, text, confirmed), nil
	}
	r.readError(body)
	return r.http(request, r.errorDocument(), isAboutTime(r.code, r.message)), nil
}

// http returns the response for the SDK. Its client sets the clock that it signs with by every
// Date, so it gets one only if that is certain to be STS's.
func (r *response) http(request *http.Request, body []byte, confirmed bool) *http.Response {
	header := http.Header{"Content-Type": {"text/xml"}}
	if r.requestID != "" {
		header.Set("X-Amzn-Requestid", r.requestID)
	}
	if confirmed && !r.date.IsZero() {
		header.Set("Date", r.date.UTC().Format(http.TimeFormat))
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", r.status, http.StatusText(r.status)), StatusCode: r.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: request,
	}
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

// readReply reads and returns the body of a successful request, unless it is no XML or repeats a
// secret of the request. It reports whether the Date is STS's: STS grants the requested duration,
// so Expiration - Date equals it.
func (r *response) readReply(body io.ReadCloser) (text []byte, confirmed bool) {
	text, err := io.ReadAll(http.MaxBytesReader(nil, body, maxReply))
	if err != nil {
		r.bodyErr = r.secrets.redactError(err)
		return nil, false
	}
	var document reply
	if xml.Unmarshal(text, &document) != nil {
		return nil, false
	}
	if r.isRepeatedIn(text) {
		r.bodyErr = errRepeated
		return nil, false
	}
	expiration := document.First
	if expiration.IsZero() {
		expiration = document.Chained
	}
	difference := expiration.Sub(r.date) - r.requested
	return text, difference.Abs() <= schedule.DateTolerance
}

var errRepeated = fmt.Errorf("it repeats a secret of the request: %w", errNotSTS)

// isRepeatedIn reports whether the text of an element contains a secret of the request. STS
// repeats none. The new keys are not searched: the SDK does not print them.
func (r *response) isRepeatedIn(document []byte) bool {
	var text strings.Builder // of the present element
	decoder := xml.NewDecoder(bytes.NewReader(document))
	for {
		token, err := decoder.Token()
		if err != nil {
			return false
		}
		switch t := token.(type) {
		case xml.StartElement:
			text.Reset()
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			if t.Name.Local == "SecretAccessKey" || t.Name.Local == "SessionToken" {
				text.Reset()
			}
			if _, end := r.secrets.find(text.String()); end > 0 {
				return true
			}
			text.Reset()
		}
	}
}

// readError reads the body of a failed request.
func (r *response) readError(body io.ReadCloser) {
	text, err := io.ReadAll(io.LimitReader(body, maxErrorBody))
	r.bodyErr = r.secrets.redactError(err)
	var document errorDocument
	_ = xml.Unmarshal(text, &document) // fills in what comes before a syntax error
	r.code = r.secrets.identifier(cmp.Or(document.Code, document.BareCode))
	r.message = r.secrets.redact(shortened(cmp.Or(document.Message, document.BareMessage)))
}

// errorDocument returns the body of the error for the SDK, empty if there is no code.
func (r *response) errorDocument() []byte {
	if r.code == "" {
		return nil
	}
	var message bytes.Buffer
	_ = xml.EscapeText(&message, []byte(r.message)) // a Buffer returns no error
	return fmt.Appendf(nil, "<ErrorResponse><Error><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", r.code, &message)
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
