package irsa_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// parrot is a peer that repeats what it received. ~ stands for it in the body and the headers.
type parrot struct {
	action string // the action that it responds to; others go to STS
	status int
	header http.Header
	body   string
	change func(secret string) string
	pass   http.RoundTripper
}

func (p *parrot) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	if form.Get("Action") != p.action {
		r.Body = io.NopCloser(bytes.NewReader(body))
		return p.pass.RoundTrip(r)
	}
	secret := form.Get("WebIdentityToken") + r.Header.Get("X-Amz-Security-Token")
	_, payload, _ := strings.Cut(secret, ".")
	if payload == "" {
		payload = secret
	}
	if p.change != nil {
		payload = p.change(payload)
	}
	header := http.Header{}
	for name, values := range p.header {
		for _, value := range values {
			header.Add(name, strings.ReplaceAll(value, "~", payload))
		}
	}
	return &http.Response{
		StatusCode: p.status, Header: header, Request: r,
		Body: io.NopCloser(strings.NewReader(strings.ReplaceAll(p.body, "~", payload))),
	}, nil
}

// everyRune returns text with something between its characters.
func everyRune(text string, n int, format string) string {
	var b strings.Builder
	for i, c := range text {
		if i%n == 0 {
			fmt.Fprintf(&b, format, c)
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

func errorBody(code, message string) string {
	return "<ErrorResponse><Error><Code>" + code + "</Code><Message>" + message + "</Message></Error><RequestId>~</RequestId></ErrorResponse>"
}

func replyBody(action, credentials string) string {
	return "<" + action + "Response><" + action + "Result><PackedPolicySize>5</PackedPolicySize>" + credentials + "</" + action + "Result></" + action + "Response>"
}

const fineCredentials = "<AccessKeyId>ASIAX</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"

// parrots are servers that repeat a secret in their response, each in a different way. The test
// sets the action.
var parrots = map[string]parrot{
	"whole, in the message": {body: errorBody("ValidationError", "Value '~' failed")},
	"its beginning":         {body: errorBody("ValidationError", "~"), change: func(s string) string { return s[:40] }},
	"its end":               {body: errorBody("AccessDenied", "~"), change: func(s string) string { return s[len(s)-12:] }},
	"its middle":            {body: errorBody("Throttling", "~"), change: func(s string) string { return s[len(s)/2 : len(s)/2+30] }},
	"wrapped":               {body: errorBody("ValidationError", "~"), change: func(s string) string { return everyRune(s, 20, "%c\n") }},
	"wrapped, in a long message": {body: errorBody("ValidationError", strings.Repeat("x", 1010)+"~"), change: func(s string) string {
		return everyRune(s, 20, "%c\n")
	}},
	"escaped for XML":             {body: errorBody("ValidationError", "~"), change: func(s string) string { return everyRune(s, 1, "&#%d;") }},
	"escaped for JSON":            {body: errorBody("ValidationError", `{"token":"~"}`), change: func(s string) string { b, _ := json.Marshal(s); return string(b) }},
	"escaped for a URL":           {body: errorBody("ValidationError", "~"), change: url.QueryEscape},
	"in CDATA":                    {body: errorBody("ValidationError", "<![CDATA[~]]>")},
	"with comments in it":         {body: errorBody("ValidationError", "~"), change: func(s string) string { return everyRune(s, 6, "%c<!-- -->") }},
	"with broken UTF-8 in it":     {body: errorBody("ValidationError", "~"), change: func(s string) string { return everyRune(s, 6, "%c\xff") }},
	"with soft hyphens in it":     {body: errorBody("ValidationError", "~"), change: func(s string) string { return everyRune(s, 16, "%c\u00ad") }},
	"as the code":                 {body: errorBody("~", "no")},
	"as a code of 60 characters":  {body: errorBody("~", "no"), change: func(s string) string { return s[:60] }},
	"in the code":                 {body: errorBody("ValidationError~", "no"), change: func(s string) string { return s[:12] }},
	"an error like that of S3":    {body: "<Error><Code>~</Code><Message>~</Message></Error>"},
	"as the request ID":           {body: errorBody("ValidationError", "no"), header: http.Header{"X-Amzn-Requestid": {"~"}}},
	"as a request ID of 36":       {body: errorBody("ValidationError", "no"), header: http.Header{"X-Amzn-Requestid": {"~"}}, change: func(s string) string { return s[:36] }},
	"in headers":                  {body: errorBody("ValidationError", "no"), header: http.Header{"Date": {"~"}, "Retry-After": {"~"}, "X-Amz-Retry-After": {"~"}, "Server": {"~"}, "Age": {"~"}, "Content-Encoding": {"~"}, "~": {"~"}}},
	"in a redirect":               {header: http.Header{"Location": {"https://elsewhere.example/?token=~"}}},
	"in a redirect to nowhere":    {header: http.Header{"Location": {"https://[~"}}},
	"HTML":                        {body: "<html><body>~<br></body></html>"},
	"plain":                       {body: "~"},
	"JSON":                        {body: `{"__type":"~","message":"~"}`},
	"an element's name":           {body: "<~>", change: func(s string) string { return "a" + strings.Trim(s, "=") }},
	"a root element's name":       {body: "<~></~>", change: func(s string) string { return "a" + strings.Trim(s, "=+/") }},
	"before a child element":      {body: "<Credentials>" + fineCredentials + "<expiration>~<x/></expiration></Credentials>"},
	"an attribute":                {body: "<ErrorResponse a='~'><Error b='~'>"},
	"cut off":                     {body: "<ErrorResponse><Error><Code>ValidationError</Code><Message>~"},
	"nothing but a header":        {header: http.Header{"X-Amzn-Requestid": {"~"}}},
	"as the expiry":               {body: "<Credentials>" + fineCredentials + "<Expiration>~</Expiration></Credentials>"},
	"as an expiry in small print": {body: "<Credentials>" + fineCredentials + "<expiration>~</expiration></Credentials>"},
	"as an escaped expiry":        {body: "<Credentials>" + fineCredentials + "<expiration>~</expiration></Credentials>", change: func(s string) string { return everyRune(s, 1, "&#%d;") }},
	"as a number":                 {body: "<packedPolicySize>~</packedPolicySize><Credentials>" + fineCredentials + "<Expiration>2000-01-01T01:00:00Z</Expiration></Credentials>"},
	"as the access key":           {body: "<Credentials><AccessKeyId>~</AccessKeyId><SecretAccessKey></SecretAccessKey><SessionToken>t</SessionToken><Expiration>2000-01-01T01:00:00Z</Expiration></Credentials>"},
	"as the role":                 {body: "<AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/~/x</Arn></AssumedRoleUser><Credentials>" + fineCredentials + "<Expiration>2099-01-01T01:00:00Z</Expiration></Credentials>"},
}

// statusesFor returns 403, 200, and others in an order that depends on the name, so that all of
// them are tried with one name or another.
func statusesFor(name string) []int {
	others := []int{302, 500, 400, 204, 429, 308, 202, 206, 301, 303, 304, 307, 401, 404, 405, 407, 413, 502, 503, 504, 599}
	first := len(name) % len(others)
	return slices.Concat([]int{403, 200}, others[first:], others[:first])
}
