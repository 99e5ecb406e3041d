package irsatest

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"strconv"
	"time"
)

// xmlNamespace is the XML namespace of all STS responses.
const xmlNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// hugeReplySize is the size in bytes of the HugeReply body.
const hugeReplySize = 10 << 20

type errorXML struct {
	XMLName   xml.Name `xml:"ErrorResponse"`
	Namespace string   `xml:"xmlns,attr"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

// resultXML is the response to an action. Result sets its own element name.
type resultXML struct {
	XMLName   xml.Name
	Namespace string `xml:"xmlns,attr"`
	Result    any
	RequestID string `xml:"ResponseMetadata>RequestId"`
}

// credentials are the keys that sign the requests of a session.
type credentials struct {
	SessionToken    string `xml:"SessionToken"`
	SecretAccessKey string `xml:"SecretAccessKey"`
	Expiration      string `xml:"Expiration"`
	AccessKeyID     string `xml:"AccessKeyId"`
}

// newCredentials returns random keys in AWS's format.
func newCredentials(expires time.Time) *credentials {
	return &credentials{
		AccessKeyID:     "ASIA" + base32Text(16),
		SecretAccessKey: base64Text(30),
		SessionToken:    "IQoJb3JpZ2luX2Vj" + base64Text(450), // prefix of STS session tokens
		Expiration:      expires.UTC().Format(time.RFC3339Nano),
	}
}

// A reply is an HTTP response of the STS.
type reply struct {
	status    int
	requestID string
	location  string
	mediaType string
	body      []byte
	truncated bool // send only half of the body
	padding   int  // number of spaces after the body
}

func newReply(body []byte) *reply {
	return &reply{status: http.StatusOK, mediaType: "text/xml", body: body}
}

func (r *rejection) reply() *reply {
	e := errorXML{Namespace: xmlNamespace, Type: "Sender", Code: r.code, Message: r.message, RequestID: uuid()}
	if r.status >= http.StatusInternalServerError {
		e.Type = "Receiver"
	}
	out := newReply(marshal(e))
	out.status, out.requestID = r.status, e.RequestID
	return out
}

func newResult(action string, result any) *reply {
	x := resultXML{XMLName: xml.Name{Local: action + "Response"}, Namespace: xmlNamespace, Result: result, RequestID: uuid()}
	out := newReply(marshal(x))
	out.requestID = x.RequestID
	return out
}

// marshal encodes a response. Encoding the response types never fails.
func marshal(v any) []byte {
	b, err := xml.MarshalIndent(v, "", "  ")
	if err != nil {
		panic("irsatest: " + err.Error())
	}
	return append(b, '\n')
}

// write sends the response. It ignores errors, because the client sees them as well.
func (r *reply) write(w http.ResponseWriter) {
	h := w.Header()
	if r.mediaType != "" {
		h.Set("Content-Type", r.mediaType)
	}
	if r.location != "" {
		h.Set("Location", r.location)
	}
	if r.requestID != "" {
		h.Set("X-Amzn-RequestId", r.requestID)
	}
	if r.padding == 0 {
		h.Set("Content-Length", strconv.Itoa(len(r.body)))
	}
	w.WriteHeader(r.status)
	body := r.body
	if r.truncated {
		body = body[:len(body)/2]
	}
	_, _ = w.Write(body)
	_, _ = io.Copy(struct{ io.Writer }{w}, io.LimitReader(spaces{}, int64(r.padding)))
	if r.truncated {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// spaces is an endless reader of spaces.
type spaces struct{}

func (spaces) Read(b []byte) (int, error) {
	return copy(b, bytes.Repeat([]byte(" "), len(b))), nil
}
