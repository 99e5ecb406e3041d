package irsatest_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestSTSRejectsWebIdentityUntilRepaired(t *testing.T) {
	type input = sts.AssumeRoleWithWebIdentityInput
	expired := new(types.ExpiredTokenException)
	invalid := new(types.InvalidIdentityTokenException)
	malformed := new(types.MalformedPolicyDocumentException)
	cases := map[string]struct {
		setup   func(t *testing.T, w *world)
		change  func(*input)
		repair  func(w *world)
		code    string
		status  int
		message string // regular expression
		reason  string // regular expression for Call.Reason
		as      error  // the SDK's error type; nil: smithy.GenericAPIError
	}{
		"a role without a trust policy": {
			setup:   func(_ *testing.T, w *world) { w.Role("s3-writer") },
			repair:  func(w *world) { w.Role("s3-writer", irsatest.Trust(w.sa)) },
			code:    "AccessDenied",
			status:  403,
			message: `^Not authorized to perform sts:AssumeRoleWithWebIdentity$`,
			reason:  `^the role has no trust policy$`,
		},
		"a role that trusts another service account": {
			setup: func(_ *testing.T, w *world) {
				w.Role("s3-writer", irsatest.Trust(w.ServiceAccount("shop", "checkout"), w.ServiceAccount("other", "cart")))
			},
			repair:  func(w *world) { w.Role("s3-writer", irsatest.Trust(w.sa)) },
			code:    "AccessDenied",
			status:  403,
			message: `^Not authorized`,
			reason:  `^trust policy: .*StringEquals.*:sub.*system:serviceaccount:shop:checkout.*system:serviceaccount:shop:cart`,
		},
		"a trust policy with the wrong operator": {
			setup: func(_ *testing.T, w *world) {
				w.role.SetTrustPolicy(strings.ReplaceAll(w.role.TrustPolicy(), "StringEquals", "StringNotEquals"))
			},
			repair: func(w *world) {
				w.role.SetTrustPolicy(strings.ReplaceAll(w.role.TrustPolicy(), "StringNotEquals", "StringEquals"))
			},
			code:    "AccessDenied",
			status:  403,
			message: `^Not authorized`,
			reason:  `StringNotEquals`,
		},
		"a role that does not exist": {
			change:  func(in *input) { in.RoleArn = aws.String("arn:aws:iam::111122223333:role/unknown") },
			code:    "AccessDenied",
			status:  403,
			message: `^Not authorized`,
			reason:  `^there is no role arn:aws:iam::111122223333:role/unknown$`,
		},
		"an account that does not know the issuer": {
			change:  func(in *input) { in.RoleArn = aws.String("arn:aws:iam::444455556666:role/s3-writer") },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^No OpenIDConnect provider found in your account for https://oidc`,
			reason:  `^account 444455556666 has no OIDC provider`,
			as:      invalid,
		},
		"an issuer that was deleted from the account": {
			setup:   func(_ *testing.T, w *world) { w.UnregisterIssuer("111122223333", w.Issuer) },
			repair:  func(w *world) { w.RegisterIssuer("111122223333", w.Issuer) },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^No OpenIDConnect provider found in your account for https://oidc`,
			as:      invalid,
		},
		"an OIDC provider with other client IDs": {
			setup: func(_ *testing.T, w *world) {
				w.RegisterIssuer("111122223333", w.Issuer, "sts.amazonaws.com.cn", "sigstore")
			},
			repair:  func(w *world) { w.RegisterIssuer("111122223333", w.Issuer, "sigstore", "sts.amazonaws.com") },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^Incorrect token audience$`,
			reason:  `^the token's audience is \["sts.amazonaws.com"\], the provider's client IDs are \["sts.amazonaws.com.cn" "sigstore"\]$`,
			as:      invalid,
		},
		"a certificate that does not match the thumbprint": {
			setup:   func(_ *testing.T, w *world) { w.STS.Fail(irsatest.Thumbprint, -1) },
			repair:  func(w *world) { w.STS.Recover() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint$`,
			reason:  `^the fault Thumbprint$`,
			as:      invalid,
		},
		"a token of a key that is not published": {
			setup:   func(_ *testing.T, w *world) { w.pod.Rotate(irsatest.Invalid("unknown key")) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements$`,
			as:      invalid,
		},
		"a token of a key that was retired": {
			setup: func(t *testing.T, w *world) {
				_, err := w.assume(t.Context()) // STS has fetched the key
				require.NoError(t, err)
				w.Issuer.RotateKeys()
				w.Issuer.RetireKeys()
			},
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^Couldn't retrieve verification key`,
			as:      invalid,
		},
		"a token that is not yet valid": {
			setup:   func(_ *testing.T, w *world) { w.pod.Rotate(irsatest.Invalid("not yet valid")) },
			repair:  func(*world) { time.Sleep(2 * time.Hour) },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^The token is not yet valid$`,
			as:      invalid,
		},
		"a token that names another issuer": {
			setup:   func(_ *testing.T, w *world) { w.pod.Rotate(irsatest.Invalid("other issuer")) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^No OpenIDConnect provider found in your account for https://oidc\.eks\.us-west-2\.amazonaws\.com/id/0{32}$`,
			as:      invalid,
		},
		"a token without a subject": {
			setup:   func(_ *testing.T, w *world) { w.pod.Rotate(irsatest.Claim("sub", nil)) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^Missing a required claim: sub$`,
			as:      invalid,
		},
		"a token without an audience": {
			setup:   func(_ *testing.T, w *world) { w.pod.Rotate(irsatest.Claim("aud", nil)) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^Missing a required claim: aud$`,
			as:      invalid,
		},
		"session tags that the trust policy does not allow": {
			setup: func(_ *testing.T, w *world) {
				w.pod.Rotate(irsatest.Claim("https://aws.amazon.com/tags", map[string]any{"principal_tags": map[string]any{"team": []string{"shop"}}}))
			},
			repair: func(w *world) {
				w.role.SetTrustPolicy(strings.Replace(w.role.TrustPolicy(), `"sts:AssumeRoleWithWebIdentity"`, `["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]`, 1))
			},
			code:    "AccessDenied",
			status:  403,
			message: `^Not authorized to perform sts:TagSession$`,
		},
		"a source identity that the trust policy does not allow": {
			setup: func(_ *testing.T, w *world) {
				w.pod.Rotate(irsatest.Claim("https://aws.amazon.com/source_identity", "alice"))
			},
			repair: func(w *world) {
				w.role.SetTrustPolicy(strings.Replace(w.role.TrustPolicy(), `"sts:AssumeRoleWithWebIdentity"`, `"sts:*"`, 1))
			},
			code:    "AccessDenied",
			status:  403,
			message: `^Not authorized to perform sts:SetSourceIdentity$`,
		},
		"an identity that its provider rejects": {
			setup:   func(_ *testing.T, w *world) { w.STS.Fail(irsatest.IDPRejectedClaim, 1) },
			code:    "IDPRejectedClaim",
			status:  403,
			message: `^The identity provider`,
			as:      new(types.IDPRejectedClaimException),
		},
		"a region without an active STS": {
			setup:   func(_ *testing.T, w *world) { w.STS.Fail(irsatest.RegionDisabled, 1) },
			code:    "RegionDisabledException",
			status:  403,
			message: `^STS is not activated in this region for account:111122223333\.`,
			as:      new(types.RegionDisabledException),
		},
		"an issuer that cannot be reached": {
			setup:   func(_ *testing.T, w *world) { w.STS.Fail(irsatest.IDPCommunicationError, 1) },
			code:    "IDPCommunicationError",
			status:  400,
			message: `could not be reached`,
			as:      new(types.IDPCommunicationErrorException),
		},
		"too many calls": {
			setup:   func(_ *testing.T, w *world) { w.STS.Fail(irsatest.Throttling, 1) },
			code:    "Throttling",
			status:  400,
			message: `^Rate exceeded$`,
		},
		"an expired token": {
			setup: func(_ *testing.T, w *world) {
				w.pod.Rotate(func(o *irsatest.TokenOptions) { o.Lifetime = -time.Minute })
			},
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "ExpiredTokenException",
			status:  400,
			message: `^Token expired: current date/time \d+ must be before the expiration date/time \d+$`,
			as:      expired,
		},
		"a token that is expired by the clock of the STS": {
			setup:   func(_ *testing.T, w *world) { w.STS.SetClockSkew(25 * time.Hour) },
			repair:  func(w *world) { w.STS.SetClockSkew(0) },
			code:    "ExpiredTokenException",
			status:  400,
			message: `^Token expired: `,
			as:      expired,
		},
		"a token for another audience": {
			setup: func(_ *testing.T, w *world) {
				other := w.Pod(w.sa, w.role, func(o *irsatest.PodOptions) { o.Audience = "vault" })
				w.pod.Write([]byte(other.Token()))
			},
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^Incorrect token audience$`,
			as:      invalid,
		},
		"a token of another issuer": {
			setup:   func(t *testing.T, w *world) { w.pod.Write([]byte(inMemory(t).pod.Token())) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^No OpenIDConnect provider found in your account for https://oidc\.eks\.us-west-2\.amazonaws\.com/id/[0-9A-F]{32}$`,
			as:      invalid,
		},
		"a token whose signature is of other claims": {
			setup: func(_ *testing.T, w *world) {
				one, other := w.pod.Token(), w.Pod(w.ServiceAccount("shop", "admin"), w.role).Token()
				w.pod.Write([]byte(other[:strings.LastIndex(other, ".")] + one[strings.LastIndex(one, "."):]))
			},
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `signature`,
			as:      invalid,
		},
		"a token with the signature of another token": {
			setup:   func(_ *testing.T, w *world) { w.pod.Rotate(irsatest.Invalid("bad signature")) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `signature`,
			as:      invalid,
		},
		"a token without a signature": {
			setup:   func(_ *testing.T, w *world) { w.pod.Rotate(irsatest.Invalid("unsigned")) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^The ID Token provided is not a valid JWT`,
			as:      invalid,
		},
		"not a token": {
			setup:   func(_ *testing.T, w *world) { w.pod.Write([]byte("not a token")) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^The ID Token provided is not a valid JWT`,
			as:      invalid,
		},
		"half a token": {
			setup:   func(_ *testing.T, w *world) { w.pod.WriteInPlace([]byte(w.pod.Token()[:300])) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^The ID Token provided is not a valid JWT`,
			as:      invalid,
		},
		"a token that is too short": {
			change:  func(in *input) { in.WebIdentityToken = aws.String("abc") },
			code:    "ValidationError",
			status:  400,
			message: `^1 validation error detected: Value '\*\*\*' at 'webIdentityToken' failed to satisfy constraint: Member must have length greater than or equal to 4$`,
		},
		"a token that is too long": {
			change:  func(in *input) { in.WebIdentityToken = aws.String(strings.Repeat("a", 20001)) },
			code:    "ValidationError",
			status:  400,
			message: `'webIdentityToken' failed to satisfy constraint: Member must have length less than or equal to 20000$`,
		},
		"a session name with a space": {
			change:  func(in *input) { in.RoleSessionName = aws.String("my session") },
			code:    "ValidationError",
			status:  400,
			message: `Value 'my session' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: \[\\w\+=,\.@-\]\*$`,
		},
		"a session name of 65 characters": {
			change:  func(in *input) { in.RoleSessionName = aws.String(strings.Repeat("a", 65)) },
			code:    "ValidationError",
			status:  400,
			message: `'roleSessionName' .* less than or equal to 64$`,
		},
		"a role ARN that is too short, and too short a session name": {
			change: func(in *input) {
				in.RoleArn = aws.String("arn:aws:iam::1:role")
				in.RoleSessionName = aws.String("s")
			},
			code:    "ValidationError",
			status:  400,
			message: `^2 validation errors detected: .*'roleArn'.*; .*'roleSessionName'`,
		},
		"a malformed role ARN": {
			change:  func(in *input) { in.RoleArn = aws.String("role/with/a/long/enough/path") },
			code:    "ValidationError",
			status:  400,
			message: `^Request ARN is invalid$`,
		},
		"a duration under 15 minutes": {
			change:  func(in *input) { in.DurationSeconds = aws.Int32(899) },
			code:    "ValidationError",
			status:  400,
			message: `'durationSeconds' .* greater than or equal to 900$`,
		},
		"a duration over 12 hours": {
			change:  func(in *input) { in.DurationSeconds = aws.Int32(43201) },
			code:    "ValidationError",
			status:  400,
			message: `'durationSeconds' .* less than or equal to 43200$`,
		},
		"a duration over the role's maximum": {
			change:  func(in *input) { in.DurationSeconds = aws.Int32(3601) },
			code:    "ValidationError",
			status:  400,
			message: `^The requested DurationSeconds exceeds the MaxSessionDuration set for this role`,
		},
		"a session policy that is too long": {
			change:  func(in *input) { in.Policy = aws.String(strings.Repeat(" ", 2049)) },
			code:    "ValidationError",
			status:  400,
			message: `'policy' .* less than or equal to 2048$`,
		},
		"a session policy with an unknown part": {
			change:  func(in *input) { in.Policy = aws.String(`{"Version": "2012-10-17", "Statements": []}`) },
			code:    "MalformedPolicyDocument",
			status:  400,
			message: `^Syntax errors in policy\.$`,
			reason:  `Statements`,
			as:      malformed,
		},
		"session policies that are too large together": {
			change: func(in *input) {
				in.Policy = aws.String(`{"Version": "2012-10-17", "Statement": []` + strings.Repeat(" ", 1990) + `}`)
				in.PolicyArns = []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")}}
			},
			code:    "PackedPolicyTooLarge",
			status:  400,
			message: `^Packed policy consumes 10\d% of allotted space, please use smaller policy\.$`,
			as:      new(types.PackedPolicyTooLargeException),
		},
		"a malformed policy ARN": {
			change: func(in *input) {
				in.PolicyArns = []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:role/AmazonS3ReadOnlyAccess")}}
			},
			code:    "ValidationError",
			status:  400,
			message: `^ARN arn:aws:iam::aws:role/AmazonS3ReadOnlyAccess is not valid\.$`,
		},
		"a session policy that is not JSON": {
			change:  func(in *input) { in.Policy = aws.String("{") },
			code:    "MalformedPolicyDocument",
			status:  400,
			message: `Json`,
			as:      malformed,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := inMemory(t)
				if c.setup != nil {
					c.setup(t, w)
				}
				if c.change == nil {
					c.change = func(*input) {}
				}
				_, err := w.assume(t.Context(), c.change)

				message := requireRejection(t, err, c.code, c.status)
				assert.Regexp(t, c.message, message)
				if c.as == nil {
					var generic *smithy.GenericAPIError
					assert.ErrorAs(t, err, &generic)
				} else {
					assert.True(t, errorHasTypeOf(err, c.as), "%T in %v", c.as, err)
				}
				calls := w.STS.Calls()
				assert.Equal(t, c.code, calls[len(calls)-1].Err)
				assert.Regexp(t, c.reason, calls[len(calls)-1].Reason)

				if c.repair != nil {
					c.repair(w)
				}
				_, err = w.assume(t.Context())
				require.NoError(t, err, "the cause is repaired")
			})
		})
	}
}

// requireRejection checks the code and the status of an AWS error, and returns its message.
func requireRejection(t *testing.T, err error, code string, status int) string {
	t.Helper()
	var api smithy.APIError
	require.ErrorAs(t, err, &api)
	require.Equal(t, code, api.ErrorCode())
	var response *awshttp.ResponseError
	require.ErrorAs(t, err, &response)
	require.Equal(t, status, response.HTTPStatusCode())
	require.Regexp(t, `^[0-9a-f-]{36}$`, response.ServiceRequestID())
	return api.ErrorMessage()
}

// errorHasTypeOf reports whether err wraps an error of the same type as example.
func errorHasTypeOf(err, example error) bool {
	return errors.As(err, reflect.New(reflect.TypeOf(example)).Interface())
}
