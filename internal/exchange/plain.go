package exchange

import (
	"bytes"
	"time"
)

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
