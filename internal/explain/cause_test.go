package explain

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/tokenfile"
)

func TestCauseIsStableAcrossFailures(t *testing.T) {
	for _, tt := range []struct{ one, other, want string }{
		{"dial tcp 10.0.0.7:443: connect: connection refused", "dial tcp 10.0.0.9:443: connect: connection refused", "dial tcp <address>: connect: connection refused"},
		{"read tcp 127.0.0.1:40001->127.0.0.1:443: reset", "read tcp 127.0.0.1:40002->127.0.0.1:443: reset", "read tcp <address>: reset"},
		{"dial tcp [::1]:443: refused", "dial tcp [fe80::1%eth0]:4430: refused", "dial tcp <address>: refused"},
		{"lookup sts.us-west-2.amazonaws.com on 10.100.0.10:53: no such host", "lookup sts.us-west-2.amazonaws.com on 10.100.0.11:53: no such host", "lookup sts.us-west-2.amazonaws.com: no such host"},
		{"Token expired: current date/time 1516307083 must be before the expiration date/time1516306848", "Token expired: current date/time 1516307084 must be before the expiration date/time1516306848", "Token expired: current date/time <time> must be before the expiration date/time<time>"},
		{"expires at 2026-01-01T00:00:00Z, in 3m1s", "expires at 2026-01-02T00:00:00Z, in 2.5s", "expires at <time>, in <duration>"},
		{"denied, request c6104cbe-af31-11e0-8154-cbc7ccf896c7", "denied, request d6104cbe-af31-11e0-8154-cbc7ccf896c7", "denied, request <id>"},
		{"stream error: stream ID 1; INTERNAL_ERROR", "stream error: stream ID 17; INTERNAL_ERROR", "stream error: stream ID <id>; INTERNAL_ERROR"},
		{"GOAWAY; LastStreamID=1, ErrCode=NO_ERROR", "GOAWAY; LastStreamID=1999, ErrCode=NO_ERROR", "GOAWAY; LastStreamID=<id>, ErrCode=NO_ERROR"},
		{"proxy.example:3128 refused", "proxy.example:3129 refused", "proxy.example:<port> refused"},
	} {
		assert.Equal(t, tt.want, Cause(errors.New(tt.one), ""))
		assert.Equal(t, tt.want, Cause(errors.New(tt.other), ""))
	}
	const issuer = "No OpenIDConnect provider found in your account for https://oidc.eks.us-west-2.amazonaws.com/id/B1764212345CAFE123456789AB9876543210"
	assert.Equal(t, issuer, Cause(errors.New(issuer), ""), "its digits are no times")
	assert.Equal(t, "role "+testRole+" in 111122223333", Cause(errors.New("role "+testRole+" in 111122223333"), ""), "neither is a time")
	assert.Equal(t, "AccessDenied: sts:AssumeRole not authorized: no session policy allows it",
		Cause(answered(403, "AccessDenied", "User: arn:aws:sts::1:assumed-role/a/cart-1 is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::2:role/b because no session policy allows the sts:AssumeRole action"), ""))
	assert.Equal(t, "stat /var/token: no such file", Cause(errors.New("tokenfile: stat /var/token: no such file"), "/var/token"))
	assert.Equal(t, "it is empty", Cause(fmt.Errorf("tokenfile: %w: it is empty (/var/token)", tokenfile.ErrMalformed), "/var/token"))
	assert.Equal(t, "ValidationError: Value 'a b' at 'roleSessionName' failed",
		Cause(answered(400, "ValidationError", "1 validation error detected: Value 'a b' at 'roleSessionName' failed"), ""))
}

func TestCutRespectsLimit(t *testing.T) {
	assert.Equal(t, "abc", Cut("abc", 3))
	assert.Equal(t, "a...", Cut("abcdef", 4))
	assert.Equal(t, "...", Cut("ééé", 4))
	assert.Equal(t, "abcd...i", CutMiddle("abcdefghi", 8))
	for limit := -1; limit <= 3; limit++ {
		assert.Equal(t, "...", CutMiddle("abcdefghi", limit))
	}
}

// TestCauseOmitsReferences checks that a cause has room for what happened.
func TestCauseOmitsReferences(t *testing.T) {
	for _, comma := range []string{", ", ",  "} {
		err := answered(400, "InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider"+comma+"please reference AssumeRoleWithWebIdentity documentation for requirements")
		assert.Equal(t, "InvalidIdentityToken: Couldn't retrieve verification key from your identity provider", Cause(err, ""))
	}
}
