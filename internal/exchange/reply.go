package exchange

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/internal/schedule"
)

// readReply returns the body of a successful response, or nil if it is not XML or repeats a secret
// of the request. It also reports whether the Date is STS's: STS grants the requested duration, so
// Expiration - Date equals it.
func (r *response) readReply(body io.ReadCloser, length int64) (text []byte, confirmed bool) {
	text, err := readAll(http.MaxBytesReader(nil, body, maxReply), int(min(length, maxReply)))
	if err != nil {
		r.bodyErr = r.secrets.redactError(ClientError(err))
		return nil, false
	}
	expiration, ok := r.scan(text)
	if !ok {
		return nil, false
	}
	difference := expiration.Sub(r.date) - r.requested
	return text, difference.Abs() <= schedule.DateTolerance
}

// readAll is like io.ReadAll. length is the expected length, or -1 if it is unknown.
func readAll(reader io.Reader, length int) ([]byte, error) {
	text := make([]byte, 0, max(length, 511)+1) // one spare byte, so that a Read can report io.EOF without growing the buffer
	for {
		n, err := reader.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		switch {
		case errors.Is(err, io.EOF):
			return text, nil
		case err != nil:
			return text, err
		case len(text) == cap(text):
			text = slices.Grow(text, len(text))
		}
	}
}

// scan returns the expiry in a successful response, and reports whether the response is XML and repeats
// no secret of the request.
func (r *response) scan(document []byte) (expiration time.Time, ok bool) {
	if isPlain(document) && !r.secrets.occurInPlain(document) {
		return plainExpiration(document), true
	}
	shown, expiration, isXML := scanReply(document)
	if isXML && r.secrets.occurIn(shown) {
		r.bodyErr = errRepeated
		return time.Time{}, false
	}
	return expiration, isXML
}

// errRepeated is the error of a response that repeats a secret of the request, which STS never does.
var errRepeated = fmt.Errorf("it contains a secret of the request: %w", explain.ErrNotSTS)

// STS's responses contain no escaped text, so they can be searched without decoding. Decoding would
// take a large share of the CPU time of an exchange.

// isPlain reports whether a document ends like a response and contains no entities, comments, CDATA
// sections or processing instructions.
func isPlain(document []byte) bool {
	for _, markup := range []string{"&", "<!", "<?"} {
		if bytes.Contains(document, []byte(markup)) {
			return false
		}
	}
	return bytes.HasSuffix(bytes.TrimSpace(document), []byte("Response>"))
}

// plainExpiration returns the expiry in a plain document. It is zero if there is none, or an invalid one.
func plainExpiration(document []byte) time.Time {
	_, text, _ := cutText(document, "Expiration")
	expiration, _ := time.Parse(time.RFC3339, string(text))
	return expiration
}

// occurInPlain reports whether a plain document contains a run of a secret, except in the text of the
// new keys, which the SDK does not print.
func (s secrets) occurInPlain(document []byte) bool {
	parts := [][]byte{document}
	for _, name := range []string{"SecretAccessKey", "SessionToken"} {
		for i, part := range parts {
			if before, text, after := cutText(part, name); text != nil {
				parts[i] = before
				parts = append(parts, after)
				break
			}
		}
	}
	return s.occurIn(parts...)
}

// cutText returns the text of the first element with the given name, and what is before and after it.
// text is nil if there is none, or if it contains other elements.
func cutText(document []byte, name string) (before, text, after []byte) {
	before, rest, _ := bytes.Cut(document, []byte("<"+name+">"))
	text, after, found := bytes.Cut(rest, []byte("<"))
	if !found || !bytes.HasPrefix(after, []byte("/"+name+">")) {
		return document, nil, nil
	}
	return before, text, after
}

// scanReply returns the parts of a successful response that the SDK can print, which excludes the new
// keys, and the expiry in Response>Result>Credentials>Expiration, if there is one. It reports whether
// the document is XML to its end: the SDK's errors contain names and entities of a syntax error.
func scanReply(document []byte) (shown []byte, expiration time.Time, isXML bool) {
	var text, markup bytes.Buffer
	start, parts, depth := 0, 0, 0 // where the current element's text begins, its parts, and the number of open elements
	for decoder := xml.NewDecoder(bytes.NewReader(document)); ; {
		token, err := decoder.Token()
		if err != nil {
			return append(text.Bytes(), markup.Bytes()...), expiration, isXML && errors.Is(err, io.EOF)
		}
		switch t := token.(type) {
		case xml.CharData:
			text.Write(t)
			parts++
			continue
		case xml.StartElement:
			text.WriteByte(' ')
			start, parts = text.Len(), 0
			depth++
		case xml.EndElement:
			switch {
			case strings.EqualFold(t.Name.Local, "SecretAccessKey") || strings.EqualFold(t.Name.Local, "SessionToken"):
				if parts > 1 { // the SDK can print the second one
					return nil, time.Time{}, false
				}
				text.Truncate(start)
			case t.Name.Local == "Expiration" && depth == 4:
				_ = expiration.UnmarshalText(text.Bytes()[start:]) // an invalid one is an error of the SDK
			}
			depth--
			isXML = isXML || depth == 0
			text.WriteByte(' ')
			continue // its name is the start element's
		}
		fmt.Fprintf(&markup, " %s", token)
	}
}
