package exchange

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// The scan of a plain document must find what decoding it finds.
func TestScanPlainMatchesDecoding(t *testing.T) {
	const secret = "0123456789abcdefghijklmnopqrstuvwxyz"
	document := func(audience, key, session string) string {
		return `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Audience>` + audience +
			"</Audience><Credentials><SessionToken>" + session + "</SessionToken><SecretAccessKey>" + key +
			"</SecretAccessKey><Expiration>2026-01-02T03:04:05Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>\n"
	}
	for _, tt := range []struct {
		name, document  string
		plain, repeated bool
	}{
		{"none", document("sts", "key", "token"), true, false},
		{"the secret", document(secret, "key", "token"), true, true},
		{"12 characters", document("x"+secret[7:19]+"x", "key", "token"), true, true},
		{"11 characters", document("x"+secret[7:18]+"x", "key", "token"), true, false},
		{"in the new keys", document("sts", secret, secret), true, false},
		{"in the new keys and elsewhere", document(secret, secret, secret), true, true},
		{"in an element of the new keys", document("sts", "key", "<X>"+secret+"</X>"), true, false},
		{"in an attribute", strings.Replace(document("sts", "key", "token"), "<Audience>", `<Audience a="`+secret+`">`, 1), true, true},
		{"in the second of two keys", strings.Replace(document("sts", "key", "token"), "</AssumeRoleResult>", "<SessionToken>"+secret+"</SessionToken></AssumeRoleResult>", 1), true, false},
		{"escaped", document("&#48;"+secret[1:12], "key", "token"), false, true},
		{"CDATA", document(secret[:6]+"<![CDATA["+secret[6:12]+"]]>", "key", "token"), false, true},
		{"a comment", document(secret[:6]+"<!-- -->"+secret[6:12], "key", "token"), false, true},
		{"a processing instruction", document(secret[:6]+"<?x?>"+secret[6:12], "key", "token"), false, true},
		{"a child's name", document("<a"+secret+"/>", "key", "token"), true, true},
		{"a child's prefix", document("<a"+secret+":x/>", "key", "token"), true, true},
		{"an escaped attribute", document(`<x y="&#48;`+secret[1:]+`"/>`, "key", "token"), false, true},
		{"an instruction's name", document("<?a"+secret+" ?>", "key", "token"), false, true},
		{"an instruction's text", document("<?x "+secret+"?>", "key", "token"), false, true},
		{"a comment's text", document("<!--"+secret+"-->", "key", "token"), false, true},
		{"a comment in a new key", document("sts", "key", "token<!--"+secret+"-->"), false, true},
		{"a DOCTYPE", "<!DOCTYPE " + secret + ">" + document("sts", "key", "token"), false, true},
		{"XML declaration", `<?xml version="1.0"?>` + document("sts", "key", "token"), false, false},
		{"broken off", strings.TrimSuffix(document("sts", "key", "token"), "Response>\n"), false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, s := []byte(tt.document), secrets{"other", secret}
			assert.Equal(t, tt.plain, isPlain(text))
			shown, expiration, isXML := scanReply(text)
			assert.Equal(t, tt.repeated, s.occurIn(shown), "decoded")
			r := response{secrets: s}
			scanned, ok := r.scan(text)
			assert.Equal(t, isXML && !tt.repeated, ok, "scanned")
			if ok {
				assert.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), expiration)
				assert.Equal(t, expiration, scanned)
			}
			if tt.repeated {
				assert.Equal(t, errRepeated, r.bodyErr)
			}
		})
	}
}

// The SDK's errors can contain names and entities of a syntax error, and a key's second part.
func TestScanReplyAcceptsOnlyCompleteXML(t *testing.T) {
	const root = "<AResponse></AResponse>"
	for _, document := range []string{
		"", "text", "<AResponse>", "<AResponse></BResponse>", root + "<a></b>", root + "</a>", root + "<a>", root + "&a;", root + "\xff",
		`<?xml version="1.0" encoding="a"?>` + root, root + `<?xml version="2"?>`,
		"<AResponse><SessionToken>a<![CDATA[b]]></SessionToken></AResponse>",
		"<AResponse><secretaccesskey>a<![CDATA[]]></secretaccesskey></AResponse>",
	} {
		_, _, isXML := scanReply([]byte(document))
		assert.False(t, isXML, document)
	}
	for _, document := range []string{root, "\ufeff" + root, root + "\n", "<!-- a --><?b?>" + root, root + root} {
		_, _, isXML := scanReply([]byte(document))
		assert.True(t, isXML, document)
	}
}

func TestSecretsAreFoundAtEveryPosition(t *testing.T) {
	const secret = "0123456789abcdefghijklmnopqrstuvwxyz"
	s := secrets{"other", secret}
	for before := range 40 {
		for after := range 40 {
			around := func(run string) []byte { return []byte(strings.Repeat("_", before) + run + strings.Repeat("_", after)) }
			assert.True(t, s.occurIn(around(secret[9:21])), "12 characters at %d, %d after them", before, after)
			assert.False(t, s.occurIn(around(secret[9:20])), "11 characters at %d, %d after them", before, after)
		}
	}
}
