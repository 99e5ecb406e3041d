package irsatest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// identityRejections returns rejections caused by the role, the issuer or the token.
func identityRejections() map[string]webIdentityRejection {
	return map[string]webIdentityRejection{
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
			change: func(in *sts.AssumeRoleWithWebIdentityInput) {
				in.RoleArn = aws.String("arn:aws:iam::111122223333:role/unknown")
			},
			code:    "AccessDenied",
			status:  403,
			message: `^Not authorized`,
			reason:  `^there is no role arn:aws:iam::111122223333:role/unknown$`,
		},
		"an account that does not know the issuer": {
			change: func(in *sts.AssumeRoleWithWebIdentityInput) {
				in.RoleArn = aws.String("arn:aws:iam::444455556666:role/s3-writer")
			},
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^No OpenIDConnect provider found in your account for https://oidc`,
			reason:  `^account 444455556666 has no OIDC provider`,
			as:      new(types.InvalidIdentityTokenException),
		},
		"an issuer that was deleted from the account": {
			setup:   func(_ *testing.T, w *world) { w.UnregisterIssuer("111122223333", w.Issuer) },
			repair:  func(w *world) { w.RegisterIssuer("111122223333", w.Issuer) },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^No OpenIDConnect provider found in your account for https://oidc`,
			as:      new(types.InvalidIdentityTokenException),
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
			as:      new(types.InvalidIdentityTokenException),
		},
		"a certificate that does not match the thumbprint": {
			setup:   func(_ *testing.T, w *world) { w.STS.Fail(irsatest.Thumbprint, -1) },
			repair:  func(w *world) { w.STS.Recover() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint$`,
			reason:  `^the fault Thumbprint$`,
			as:      new(types.InvalidIdentityTokenException),
		},
		"a token of a key that is not published": {
			setup:   func(_ *testing.T, w *world) { w.pod.Rotate(irsatest.Invalid("unknown key")) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements$`,
			as:      new(types.InvalidIdentityTokenException),
		},
		"a token of a key that was retired": {
			setup: func(t *testing.T, w *world) {
				_, err := w.assume(t.Context()) // makes STS fetch the key
				require.NoError(t, err)
				w.Issuer.RotateKeys()
				w.Issuer.RetireKeys()
			},
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^Couldn't retrieve verification key`,
			as:      new(types.InvalidIdentityTokenException),
		},
		"a token that is not yet valid": {
			setup:   func(_ *testing.T, w *world) { w.pod.Rotate(irsatest.Invalid("not yet valid")) },
			repair:  func(*world) { time.Sleep(2 * time.Hour) },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^The token is not yet valid$`,
			as:      new(types.InvalidIdentityTokenException),
		},
		"a token that names another issuer": {
			setup:   func(_ *testing.T, w *world) { w.pod.Rotate(irsatest.Invalid("other issuer")) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^No OpenIDConnect provider found in your account for https://oidc\.eks\.us-west-2\.amazonaws\.com/id/0{32}$`,
			as:      new(types.InvalidIdentityTokenException),
		},
		"a token without a subject": {
			setup:   func(_ *testing.T, w *world) { w.pod.Rotate(irsatest.Claim("sub", nil)) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^Missing a required claim: sub$`,
			as:      new(types.InvalidIdentityTokenException),
		},
		"a token without an audience": {
			setup:   func(_ *testing.T, w *world) { w.pod.Rotate(irsatest.Claim("aud", nil)) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^Missing a required claim: aud$`,
			as:      new(types.InvalidIdentityTokenException),
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
			as:      new(types.ExpiredTokenException),
		},
		"a token that is expired by the clock of the STS": {
			setup:   func(_ *testing.T, w *world) { w.STS.SetClockSkew(25 * time.Hour) },
			repair:  func(w *world) { w.STS.SetClockSkew(0) },
			code:    "ExpiredTokenException",
			status:  400,
			message: `^Token expired: `,
			as:      new(types.ExpiredTokenException),
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
			as:      new(types.InvalidIdentityTokenException),
		},
		"a token of another issuer": {
			setup:   func(t *testing.T, w *world) { w.pod.Write([]byte(inMemory(t).pod.Token())) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^No OpenIDConnect provider found in your account for https://oidc\.eks\.us-west-2\.amazonaws\.com/id/[0-9A-F]{32}$`,
			as:      new(types.InvalidIdentityTokenException),
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
			as:      new(types.InvalidIdentityTokenException),
		},
		"a token with the signature of another token": {
			setup:   func(_ *testing.T, w *world) { w.pod.Rotate(irsatest.Invalid("bad signature")) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `signature`,
			as:      new(types.InvalidIdentityTokenException),
		},
		"a token without a signature": {
			setup:   func(_ *testing.T, w *world) { w.pod.Rotate(irsatest.Invalid("unsigned")) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^The ID Token provided is not a valid JWT`,
			as:      new(types.InvalidIdentityTokenException),
		},
	}
}
