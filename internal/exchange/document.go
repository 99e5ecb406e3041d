package exchange

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
)

// parseResult reads the result from a document, ignoring other elements. If there is an error, the
// result contains what precedes it.
func parseResult(document []byte) (result, error) {
	if r, ok := parsePlain(document); ok {
		return r, nil
	}
	return parseXML(document)
}

// parseXML implements parseResult for any document.
func parseXML(document []byte) (result, error) {
	var r result
	decoder := xml.NewDecoder(bytes.NewReader(document))
	open, text := make([][]byte, 1), []byte(nil) // the names of the open elements, and the text since the last tag
	for {
		token, err := decoder.Token()
		switch t := token.(type) {
		case xml.StartElement:
			open, text = append(open, []byte(t.Name.Local)), text[:0]
		case xml.CharData:
			text = append(text, t...)
		case xml.EndElement:
			last := len(open) - 1
			err = r.set(open[last-1], open[last], text)
			open, text = open[:last], text[:0]
		}
		switch {
		case errors.Is(err, io.EOF):
			return r, nil
		case err != nil:
			return r, err
		}
	}
}

// namespace is the attribute of the first element in the responses of STS.
var namespace = []byte(` xmlns="https://sts.amazonaws.com/doc/2011-06-15/"`)

// parsePlain implements parseResult for documents that consist of elements and plain text, as those of
// STS do, and reports whether document is one of them. With encoding/xml, parsing would take a sixth of
// the processor time of an exchange.
func parsePlain(document []byte) (r result, ok bool) {
	if hasSpecial(document) {
		return result{}, false
	}
	open := make([][]byte, 1, 8) // the names of the open elements
	for {
		text, rest, found := bytes.Cut(document, []byte("<"))
		if !found {
			return r, len(open) == 1
		}
		tag, rest, found := bytes.Cut(rest, []byte(">"))
		name, isEnd := bytes.CutPrefix(bytes.TrimSuffix(tag, namespace), []byte("/"))
		last := len(open) - 1
		switch {
		case !found || len(name) == 0 || bytes.ContainsFunc(name, isNotLetter):
			return result{}, false
		case !isEnd:
			open = append(open, name)
		case !bytes.Equal(name, open[last]) || r.set(open[last-1], name, text) != nil:
			return result{}, false
		default:
			open = open[:last]
		}
		document = rest
	}
}

// hasSpecial reports whether document contains XML markup other than tags, or anything but printable
// ASCII characters and line breaks.
func hasSpecial(document []byte) bool {
	for _, c := range document {
		if c == '&' || c == ']' || c > '~' || c < ' ' && c != '\n' {
			return true
		}
	}
	return false
}

// isNotLetter reports whether r is not an ASCII letter.
func isNotLetter(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }
