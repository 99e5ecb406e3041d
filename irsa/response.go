package irsa

import (
	"bytes"
	"encoding/xml"
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
