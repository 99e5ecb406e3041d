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

// echoServer is a server that repeats what it received. In the body and the headers, ~ stands for the
// repeated text. In the body, anyAction stands for the action.
type echoServer struct {
	action string // the action that it responds to; other actions go to STS
	status int
	header http.Header
	body   string
	change func(secret string) string
	pass   http.RoundTripper
}

func (p *echoServer) RoundTrip(r *http.Request) (*http.Response, error) {
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
		Body: io.NopCloser(strings.NewReader(strings.NewReplacer("~", payload, anyAction, p.action).Replace(p.body))),
	}, nil
}

// everyRune returns text with a separator between its characters.
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

const anyAction = "{action}"

// inReply returns a response with the credentials for any action.
func inReply(credentials string) string {
	return replyBody(anyAction, "<Credentials>"+credentials+"</Credentials>")
}

// inExpiry returns a response for any action that has the XML in its expiry.
func inExpiry(xml string) string {
	return inReply(fineCredentials + "<Expiration>" + xml + "</Expiration>")
}

// asName returns an XML name that consists of most of a secret.
func asName(secret string) string {
	return "a" + strings.NewReplacer("+", "", "/", "", "=", "").Replace(secret)
}

// escaped returns a secret encoded as character references.
func escaped(secret string) string { return everyRune(secret, 1, "&#%d;") }

const fineCredentials = "<AccessKeyId>ASIAX</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"

// echoServers are servers that repeat a secret in their response, each in a different way. The test
// sets the action.
var echoServers = map[string]echoServer{
	"whole, in the message": {body: errorBody("ValidationError", "Value '~' failed")},
	"its beginning":         {body: errorBody("ValidationError", "~"), change: func(s string) string { return s[:40] }},
	"its end":               {body: errorBody("AccessDenied", "~"), change: func(s string) string { return s[len(s)-12:] }},
	"its middle":            {body: errorBody("Throttling", "~"), change: func(s string) string { return s[len(s)/2 : len(s)/2+30] }},
	"wrapped":               {body: errorBody("ValidationError", "~"), change: func(s string) string { return everyRune(s, 20, "%c\n") }},
	"wrapped, in a long message": {body: errorBody("ValidationError", strings.Repeat("x", 1010)+"~"), change: func(s string) string {
		return everyRune(s, 20, "%c\n")
	}},
	"escaped for XML":             {body: errorBody("ValidationError", "~"), change: escaped},
	"escaped for JSON":            {body: errorBody("ValidationError", `{"token":"~"}`), change: func(s string) string { b, _ := json.Marshal(s); return string(b) }},
	"escaped for a URL":           {body: errorBody("ValidationError", "~"), change: url.QueryEscape},
	"in CDATA":                    {body: errorBody("ValidationError", "<![CDATA[~]]>")},
	"with comments in it":         {body: errorBody("ValidationError", "~"), change: func(s string) string { return everyRune(s, 6, "%c<!-- -->") }},
	"with broken UTF-8 in it":     {body: errorBody("ValidationError", "~"), change: func(s string) string { return everyRune(s, 6, "%c\xff") }},
	"with soft hyphens in it":     {body: errorBody("ValidationError", "~"), change: func(s string) string { return everyRune(s, 16, "%c\u00ad") }},
	"as the code":                 {body: errorBody("~", "no")},
	"as a code of 60 characters":  {body: errorBody("~", "no"), change: func(s string) string { return s[:60] }},
	"in the code":                 {body: errorBody("ValidationError~", "no"), change: func(s string) string { return s[:12] }},
	"error in the format of S3":   {body: "<Error><Code>~</Code><Message>~</Message></Error>"},
	"as the request ID":           {body: errorBody("ValidationError", "no"), header: http.Header{"X-Amzn-Requestid": {"~"}}},
	"as a request ID of 36":       {body: errorBody("ValidationError", "no"), header: http.Header{"X-Amzn-Requestid": {"~"}}, change: func(s string) string { return s[:36] }},
	"in headers":                  {body: errorBody("ValidationError", "no"), header: http.Header{"Date": {"~"}, "Retry-After": {"~"}, "X-Amz-Retry-After": {"~"}, "Server": {"~"}, "Age": {"~"}, "Content-Encoding": {"~"}, "~": {"~"}}},
	"in a redirect":               {header: http.Header{"Location": {"https://elsewhere.example/?token=~"}}},
	"in a redirect to nowhere":    {header: http.Header{"Location": {"https://[~"}}},
	"HTML":                        {body: "<html><body>~<br></body></html>"},
	"plain":                       {body: "~"},
	"JSON":                        {body: `{"__type":"~","message":"~"}`},
	"an element's name":           {body: "<~>", change: asName},
	"a root element's name":       {body: "<~></~>", change: asName},
	"before a child element":      {body: inReply(fineCredentials + "<expiration>~<x/></expiration>")},
	"an attribute":                {body: "<ErrorResponse a='~'><Error b='~'>"},
	"cut off":                     {body: "<ErrorResponse><Error><Code>ValidationError</Code><Message>~"},
	"nothing but a header":        {header: http.Header{"X-Amzn-Requestid": {"~"}}},
	"as the expiry":               {body: inExpiry("~")},
	"as an expiry in small print": {body: inReply(fineCredentials + "<expiration>~</expiration>")},
	"as an escaped expiry":        {body: inReply(fineCredentials + "<expiration>~</expiration>"), change: escaped},
	"as a number":                 {body: replyBody(anyAction, "<packedPolicySize>~</packedPolicySize>")},
	"as the access key":           {body: inReply("<AccessKeyId>~</AccessKeyId><SecretAccessKey></SecretAccessKey><SessionToken>t</SessionToken><Expiration>2000-01-01T01:00:00Z</Expiration>")},
	"as the role":                 {body: replyBody(anyAction, "<AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/~/x</Arn></AssumedRoleUser><Credentials>"+fineCredentials+"<Expiration>2099-01-01T01:00:00Z</Expiration></Credentials>")},

	// In every kind of XML token and syntax error.
	"a child's name":                   {body: inExpiry("x<~/>"), change: asName},
	"a child's prefix":                 {body: inExpiry("<~:y/>"), change: asName},
	"a child's prefix, after text":     {body: inExpiry("x<~:y/>"), change: asName},
	"a child's namespace":              {body: inExpiry("<x:y xmlns:x='~'/>")},
	"a child's escaped namespace":      {body: inExpiry("<y xmlns='~'/>"), change: escaped},
	"an attribute's name":              {body: inExpiry("<x ~='y'/>"), change: asName},
	"an attribute's prefix":            {body: inExpiry("<x ~:y='z'/>"), change: asName},
	"an attribute's value":             {body: inExpiry("<x y='~'/>")},
	"an attribute's escaped value":     {body: inExpiry("<x y='~'/>"), change: escaped},
	"a processing instruction":         {body: inExpiry("<?~ ?>"), change: asName},
	"a processing instruction's text":  {body: inExpiry("<?x ~?>")},
	"a comment":                        {body: inExpiry("<!--~-->")},
	"an element in a comment":          {body: inExpiry("<!--<SessionToken>~</SessionToken>-->")},
	"a directive":                      {body: inExpiry("<!~>"), change: asName},
	"a DOCTYPE":                        {body: "<!DOCTYPE ~>" + inExpiry("<!DOCTYPE ~>")},
	"an entity":                        {body: "<!DOCTYPE x [<!ENTITY y '~'>]>" + inExpiry("&y;")},
	"an entity's name":                 {body: inExpiry("&~;"), change: asName},
	"CDATA":                            {body: inExpiry("<![CDATA[~]]>")},
	"CDATA, after text":                {body: inExpiry("x<![CDATA[~]]>")},
	"CDATA, in pieces":                 {body: inExpiry("~"), change: func(s string) string { return everyRune(s, 6, "%c<![CDATA[]]>") }},
	"text, after CDATA":                {body: inExpiry("<![CDATA[x]]>~"), change: escaped},
	"text, split by elements":          {body: inExpiry("~"), change: func(s string) string { return everyRune(s, 20, "%c<x/>") }},
	"text, split by spaces":            {body: inExpiry("~"), change: func(s string) string { return everyRune(s, 20, "%c \n") }},
	"text, escaped in part":            {body: inExpiry("~"), change: func(s string) string { return everyRune(s, 3, "&#x%x;") }},
	"a new key's second part":          {body: inReply("<SessionToken><![CDATA[x]]>~</SessionToken>"), change: escaped},
	"a new key's comment":              {body: inReply("<SessionToken>x<!--~--></SessionToken>")},
	"a new key's instruction":          {body: inReply("<SessionToken><?~ ?></SessionToken>"), change: asName},
	"a new key's child":                {body: inReply("<SessionToken>x<~/></SessionToken>"), change: asName},
	"an end tag":                       {body: inExpiry("</~>"), change: asName},
	"an end tag's prefix":              {body: inExpiry("</~:Expiration>"), change: asName},
	"an end tag, second root":          {body: "<R></R><a></~>", change: asName},
	"an end tag's prefix, second root": {body: "<R></R><a></~:a>", change: asName},
	"a name, second root":              {body: "<R></R><~></a>", change: asName},
	"an end tag without a start tag":   {body: "<R></R></~>", change: asName},
	"an end tag, second response":      {body: inExpiry("2000-01-01T01:00:00Z") + "<a></~>", change: asName},
	"an entity's name, after the root": {body: "<R></R>&~;", change: asName},
	"an encoding":                      {body: "<?xml version='1.0' encoding='~'?><R></R>"},
	"an encoding, after the root":      {body: "<R></R><?xml version='1.0' encoding='~'?>"},
	"a version":                        {body: "<?xml version='~'?><R></R>"},
	"a version, after the root":        {body: "<R></R><?xml version='~'?>"},
	"with a declaration":               {body: "<?xml version='1.0' encoding='UTF-8'?>" + inExpiry("x<~:y/>"), change: asName},
	"with a declaration of Latin-1":    {body: "<?xml version='1.0' encoding='ISO-8859-1'?>" + inExpiry("~")},
	"UTF-8 with a byte order mark":     {body: "\ufeff" + inExpiry("x<~:y/>"), change: asName},
	"UTF-16, little endian":            {body: "\xff\xfe" + everyRune("<R>~</R>", 1, "%c\x00"), change: func(s string) string { return strings.TrimSuffix(everyRune(s, 1, "%c\x00"), "\x00") }},
	"UTF-16, big endian":               {body: everyRune("<R>~</R>", 1, "\x00%c"), change: func(s string) string { return strings.TrimPrefix(everyRune(s, 1, "\x00%c"), "\x00") }},
}

// statusesFor returns 403, 200 and other statuses in an order that depends on the name, so that all
// statuses are covered across the names.
func statusesFor(name string) []int {
	others := []int{302, 500, 400, 204, 429, 308, 202, 206, 301, 303, 304, 307, 401, 404, 405, 407, 413, 502, 503, 504, 599}
	first := len(name) % len(others)
	return slices.Concat([]int{403, 200}, others[first:], others[:first])
}
