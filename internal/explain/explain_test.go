package explain

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/tokenfile"
)

// answered returns the error of a request that got a response. code is empty if the response has
// none.
func answered(status int, code, message string) error {
	if code == "" {
		return &RequestError{Status: status, Text: ErrNotSTS.Error(), Err: ErrNotSTS}
	}
	return &RequestError{Status: status, Code: code, Message: message, Text: code + ": " + message, Err: &smithy.GenericAPIError{Code: code, Message: message}}
}

func TestKindOfResponse(t *testing.T) {
	for _, tt := range []struct {
		status        int
		code, message string
		kind          error
		heading       Heading
		permanent     bool
	}{
		{400, "ExpiredTokenException", "", ErrTokenExpired, HeadingClock, true}, // an unknown expiry counts as being in the future
		{403, "ExpiredToken", "", ErrTokenExpired, HeadingClock, true},
		{400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for x", ErrTokenRejected, HeadingNoOIDCProvider, true},
		{400, "InvalidIdentityToken", "Incorrect token audience", ErrTokenRejected, HeadingAudience, true},
		{400, "InvalidIdentityToken", "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint", ErrTokenRejected, HeadingThumbprint, true},
		{400, "InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider", ErrUnavailable, HeadingVerificationKey, false},
		{400, "InvalidIdentityToken", "The token is not yet valid", ErrTokenRejected, HeadingClock, true},
		{400, "InvalidIdentityToken", "Missing a required claim: sub", ErrTokenRejected, HeadingTokenRejected, true},
		{403, "IDPRejectedClaim", "", ErrTokenRejected, HeadingTokenRejected, true},
		{400, "InvalidIdentityTokenException", "Incorrect token audience", ErrTokenRejected, HeadingAudience, true},
		{403, "IDPRejectedClaimException", "", ErrTokenRejected, HeadingTokenRejected, true},
		{400, "IDPCommunicationErrorException", "", ErrUnavailable, HeadingVerificationKey, false},
		{400, "InvalidActionException", "", ErrUnavailable, HeadingNotSTS, false},
		{400, "TooManyRequests", "", ErrThrottled, HeadingThrottled, false},
		{400, "RequestAbortedException", "", ErrUnavailable, HeadingSTSUnavailable, false},
		{408, "RequestTimeoutException", "", ErrUnavailable, HeadingSTSUnavailable, false},
		{403, "OptInRequired", "", ErrInvalidRequest, HeadingRegionDisabled, true},
		{400, "InvalidParameterValue", "", ErrTokenRejected, HeadingTokenRejected, true},
		{400, "IDPCommunicationError", "", ErrUnavailable, HeadingVerificationKey, false},
		{403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", ErrAccessDenied, HeadingAccessDenied, true},
		{403, "AccessDeniedException", "", ErrAccessDenied, HeadingAccessDenied, true},
		{400, "Throttling", "", ErrThrottled, HeadingThrottled, false},
		{400, "ThrottlingException", "", ErrThrottled, HeadingThrottled, false},
		{400, "RequestLimitExceeded", "", ErrThrottled, HeadingThrottled, false},
		{429, "", "", ErrThrottled, HeadingThrottled, false},
		{429, "SlowerPlease", "", ErrThrottled, HeadingThrottled, false},
		{503, "ServiceUnavailable", "", ErrUnavailable, HeadingSTSUnavailable, false},
		{500, "InternalFailure", "", ErrUnavailable, HeadingSTSUnavailable, false},
		{502, "SomethingNew", "", ErrUnavailable, HeadingSTSUnavailable, false},
		{502, "", "", ErrUnavailable, HeadingSTSUnavailable, false},
		{504, "", "", ErrUnavailable, HeadingSTSUnavailable, false},
		{500, "", "", ErrUnavailable, HeadingNotSTS, false},
		{505, "", "", ErrUnavailable, HeadingNotSTS, false},
		{405, "", "", ErrUnavailable, HeadingNotSTS, false},
		{400, "InvalidAction", "", ErrUnavailable, HeadingNotSTS, false},
		{405, "MethodNotAllowed", "", ErrUnavailable, HeadingNotSTS, false},
		{400, "NoSuchVersion", "", ErrUnavailable, HeadingNotSTS, false},
		{403, "MissingAuthenticationToken", "", ErrUnavailable, HeadingNotSTS, false},
		{403, "RegionDisabledException", "", ErrInvalidRequest, HeadingRegionDisabled, true},
		{400, "MalformedPolicyDocument", "", ErrInvalidRequest, HeadingSessionPolicy, true},
		{400, "PackedPolicyTooLarge", "", ErrInvalidRequest, HeadingSessionPolicy, true},
		{400, "ValidationError", "exceeds the MaxSessionDuration set for this role", ErrInvalidRequest, HeadingSessionDuration, true},
		{400, "ValidationError", "Request ARN is invalid", ErrInvalidRequest, HeadingRoleARN, true},
		{400, "ValidationError", "Value 'a b' at 'roleSessionName' failed to satisfy constraint", ErrInvalidRequest, HeadingSettings, true},
		{400, "ValidationError", "", ErrInvalidRequest, HeadingInvalidRequest, true},
	} {
		t.Run(fmt.Sprint(tt.status, " ", tt.code, " ", tt.message), func(t *testing.T) {
			err := answered(tt.status, tt.code, tt.message)
			f := Facts{
				Kind: Kind(err, ""), Err: err, Code: tt.code, RoleARN: "arn:aws:iam::111122223333:role/r", Region: "us-west-2", TokenFile: "/token",
				Claims: tokenfile.Claims{Issuer: "https://oidc.example.com", Expiry: time.Now().Add(time.Hour)}, Now: time.Now(),
			}
			assert.Equal(t, tt.kind, f.Kind)
			assert.Equal(t, tt.heading, For(f).Heading)
			assert.NotEmpty(t, For(f).Text)
			assert.Equal(t, tt.permanent, Permanent(f.Kind))
		})
	}
}

func TestRuleForAccessDeniedDependsOnMessage(t *testing.T) {
	for message, want := range map[string]string{
		"because no VPC endpoint policy allows the sts:AssumeRoleWithWebIdentity action": "VPC endpoint",
		"with an explicit deny in a service control policy":                              "organization",
		"Not authorized": "the trust policy of arn:aws:iam::111122223333:role/r needs the statement {",
	} {
		f := Facts{Kind: ErrAccessDenied, Code: "AccessDenied", RoleARN: "arn:aws:iam::111122223333:role/r", Region: "us-west-2", Err: answered(403, "AccessDenied", message)}
		assert.Contains(t, For(f).Text, want)
	}
	f := Facts{Kind: ErrAccessDenied, Code: "AccessDenied", RoleARN: "arn:minio:iam:us-east-1::role/r", Region: "us-east-1", Err: answered(403, "AccessDenied", "")}
	assert.NotContains(t, For(f).Text, "Federated", "a server other than AWS has no IAM")
}

// STS sends an error code when it throttles, so a 429 without one is from something in between.
func TestRuleForThrottlingDependsOnCode(t *testing.T) {
	for code, want := range map[string]string{"": "gateway", "Throttling": "STS's limit"} {
		err := answered(429, code, "")
		a := For(Facts{Kind: Kind(err, ""), Err: err, Code: code, RoleARN: testRole, Region: "us-west-2"})
		assert.Equal(t, HeadingThrottled, a.Heading)
		assert.Contains(t, a.Text, want, code)
		assert.Equal(t, code == "", strings.Contains(a.Fix, "gateway"), a.Fix)
	}
}

func TestPartitionOfRegion(t *testing.T) {
	for region, want := range map[string]string{
		"us-west-2": "aws", "eu-central-1": "aws", "mars-north-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov",
		"us-iso-east-1": "aws-iso", "us-isob-east-1": "aws-iso-b", "eu-isoe-west-1": "aws-iso-e", "us-isof-south-1": "aws-iso-f", "eusc-de-east-1": "aws-eusc", "": "",
	} {
		assert.Equal(t, want, partitionOf(region), region)
		f := Facts{RoleARN: "arn:aws-cn:iam::111122223333:role/r", Region: region}
		assert.Equal(t, want != "aws-cn" && want != "", f.OtherPartition() != "", region)
	}
	assert.Empty(t, (Facts{RoleARN: "arn:minio:iam:us-east-1::role/r", Region: "us-east-1"}).OtherPartition())
}
