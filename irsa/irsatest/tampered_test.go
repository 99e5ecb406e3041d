package irsatest_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSTSAuthenticateRejectsTamperedHeaders(t *testing.T) {
	replaced := func(old, by string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, by, 1))
		}
	}
	for name, change := range map[string]func(*http.Request){
		"an added header of AWS":          func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") },
		"a second date":                   func(r *http.Request) { r.Header.Add("X-Amz-Date", "20000101T000000Z") },
		"a second session token":          func(r *http.Request) { r.Header.Add("X-Amz-Security-Token", "token") },
		"host is not signed":              replaced("host;", ""),
		"the date is not signed":          replaced("x-amz-date;", ""),
		"the session token is not signed": replaced(";x-amz-security-token", ""),
		"signed headers out of order":     replaced("host;x-amz-content-sha256", "x-amz-content-sha256;host"),
		"a header that is signed twice":   replaced("host;", "host;host;"),
		"a parameter with a semicolon":    func(r *http.Request) { r.URL.RawQuery += "&versionId;a=1" },
	} {
		for _, service := range []string{"s3", "dynamodb"} {
			t.Run(name+" for "+service, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := inMemory(t)
					r := signedRequest(t, w.retrieve(t.Context(), t), service, "body")
					r.Header.Set("X-Amzn-Trace-Id", "added by a load balancer")
					_, err := w.STS.Authenticate(r.Clone(t.Context()), service)
					require.NoError(t, err)
					r.Body, _ = r.GetBody()
					change(r)
					caller, err := w.STS.Authenticate(r, service)
					require.Error(t, err)
					assert.Empty(t, caller)
				})
			})
		}
	}
}

func TestSTSAuthenticateRejectsTamperedQuery(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"another algorithm":       func(q string) string { return strings.Replace(q, "HMAC-SHA256", "ECDSA-P256-SHA256", 1) },
		"no algorithm":            func(q string) string { return strings.Replace(q, "X-Amz-Algorithm=AWS4-HMAC-SHA256&", "", 1) },
		"a second date":           func(q string) string { return q + "&X-Amz-Date=20000101T000000Z" },
		"a second session token":  func(q string) string { return q + "&X-Amz-Security-Token=token" },
		"a second credential":     func(q string) string { return q + "&X-Amz-Credential=key" },
		"a second signature":      func(q string) string { return q + "&X-Amz-Signature=" + strings.Repeat("0", 64) },
		"host is not signed":      func(q string) string { return strings.Replace(q, "SignedHeaders=host", "SignedHeaders=", 1) },
		"a second signed headers": func(q string) string { return q + "&X-Amz-SignedHeaders=host" },
		"another parameter":       func(q string) string { return q + "&a=1" },
	} {
		for _, service := range []string{"s3", "rds-db", "sts"} {
			t.Run(name+" for "+service, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := inMemory(t)
					payload := emptyHash
					if service == "s3" {
						payload = "UNSIGNED-PAYLOAD"
					}
					r := presignedRequest(t, w.retrieve(t.Context(), t), service, payload)
					_, err := w.STS.Authenticate(r, service)
					require.NoError(t, err)
					changed := change(r.URL.RawQuery)
					require.NotEqual(t, r.URL.RawQuery, changed)
					r.URL.RawQuery = changed
					caller, err := w.STS.Authenticate(r, service)
					require.Error(t, err)
					assert.Empty(t, caller)
				})
			})
		}
	}
}
