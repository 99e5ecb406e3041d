package irsatest

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
)

// randomBytes returns n random bytes. crypto/rand never fails.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// upperHex returns n random bytes in uppercase hexadecimal, as in EKS issuer IDs.
func upperHex(n int) string { return fmt.Sprintf("%X", randomBytes(n)) }

// base32Text returns up to 26 random characters of A-Z2-7, the alphabet of AWS's identifiers.
func base32Text(n int) string { return rand.Text()[:n] }

// base64Text returns n random bytes in base64.
func base64Text(n int) string { return base64.StdEncoding.EncodeToString(randomBytes(n)) }

// lowerText returns up to 26 random characters of a-z2-7, which are valid in Kubernetes
// names.
func lowerText(n int) string { return strings.ToLower(base32Text(n)) }

// uuid returns a random UUID (RFC 9562, version 4).
func uuid() string {
	b := randomBytes(16)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
