package irsatest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

const sessionPolicy = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`

// parameterRejections returns rejections caused by a request parameter.
func parameterRejections() map[string]webIdentityRejection {
	return map[string]webIdentityRejection{
		"not a token": {
			setup:   func(_ *testing.T, w *world) { w.pod.Write([]byte("not a token")) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^The ID Token provided is not a valid JWT`,
			as:      new(types.InvalidIdentityTokenException),
		},
		"half a token": {
			setup:   func(_ *testing.T, w *world) { w.pod.WriteInPlace([]byte(w.pod.Token()[:300])) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^The ID Token provided is not a valid JWT`,
			as:      new(types.InvalidIdentityTokenException),
		},
		"a token that is too short": {
			change:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.WebIdentityToken = aws.String("abc") },
			code:    "ValidationError",
			status:  400,
			message: `^1 validation error detected: Value '\*\*\*' at 'webIdentityToken' failed to satisfy constraint: Member must have length greater than or equal to 4$`,
		},
		"a token that is too long": {
			change: func(in *sts.AssumeRoleWithWebIdentityInput) {
				in.WebIdentityToken = aws.String(strings.Repeat("a", 20001))
			},
			code:    "ValidationError",
			status:  400,
			message: `'webIdentityToken' failed to satisfy constraint: Member must have length less than or equal to 20000$`,
		},
		"a session name with a space": {
			change:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.RoleSessionName = aws.String("my session") },
			code:    "ValidationError",
			status:  400,
			message: `Value 'my session' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: \[\\w\+=,\.@-\]\*$`,
		},
		"a session name of 65 characters": {
			change:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.RoleSessionName = aws.String(strings.Repeat("a", 65)) },
			code:    "ValidationError",
			status:  400,
			message: `'roleSessionName' .* less than or equal to 64$`,
		},
		"a role ARN that is too short, and too short a session name": {
			change: func(in *sts.AssumeRoleWithWebIdentityInput) {
				in.RoleArn = aws.String("arn:aws:iam::1:role")
				in.RoleSessionName = aws.String("s")
			},
			code:    "ValidationError",
			status:  400,
			message: `^2 validation errors detected: .*'roleArn'.*; .*'roleSessionName'`,
		},
		"a malformed role ARN": {
			change:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.RoleArn = aws.String("role/with/a/long/enough/path") },
			code:    "ValidationError",
			status:  400,
			message: `^Request ARN is invalid$`,
		},
		"a duration under 15 minutes": {
			change:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.DurationSeconds = aws.Int32(899) },
			code:    "ValidationError",
			status:  400,
			message: `'durationSeconds' .* greater than or equal to 900$`,
		},
		"a duration over 12 hours": {
			change:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.DurationSeconds = aws.Int32(43201) },
			code:    "ValidationError",
			status:  400,
			message: `'durationSeconds' .* less than or equal to 43200$`,
		},
		"a duration over the role's maximum": {
			change:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.DurationSeconds = aws.Int32(3601) },
			code:    "ValidationError",
			status:  400,
			message: `^The requested DurationSeconds exceeds the MaxSessionDuration set for this role`,
		},
		"a session policy that is too long": {
			change:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.Policy = aws.String(strings.Repeat(" ", 2049)) },
			code:    "ValidationError",
			status:  400,
			message: `'policy' .* less than or equal to 2048$`,
		},
		"a session policy with an unknown part": {
			change: func(in *sts.AssumeRoleWithWebIdentityInput) {
				in.Policy = aws.String(`{"Version": "2012-10-17", "Statements": []}`)
			},
			code:    "MalformedPolicyDocument",
			status:  400,
			message: `^Syntax errors in policy\.$`,
			reason:  `Statements`,
			as:      new(types.MalformedPolicyDocumentException),
		},
		"session policies that are too large together": {
			change: func(in *sts.AssumeRoleWithWebIdentityInput) {
				in.Policy = aws.String(fmt.Sprintf("%-2030s", sessionPolicy))
				in.PolicyArns = []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")}}
			},
			code:    "PackedPolicyTooLarge",
			status:  400,
			message: `^Packed policy consumes 10\d% of allotted space, please use smaller policy\.$`,
			as:      new(types.PackedPolicyTooLargeException),
		},
		"a malformed policy ARN": {
			change: func(in *sts.AssumeRoleWithWebIdentityInput) {
				in.PolicyArns = []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:role/AmazonS3ReadOnlyAccess")}}
			},
			code:    "ValidationError",
			status:  400,
			message: `^ARN arn:aws:iam::aws:role/AmazonS3ReadOnlyAccess is not valid\.$`,
		},
		"a session policy that is not JSON": {
			change:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.Policy = aws.String("{") },
			code:    "MalformedPolicyDocument",
			status:  400,
			message: `Json`,
			as:      new(types.MalformedPolicyDocumentException),
		},
	}
}

// policyRejections returns rejections caused by a session policy.
func policyRejections() map[string]webIdentityRejection {
	out := map[string]webIdentityRejection{}
	for name, c := range map[string]struct{ old, new, message, reason string }{
		"without resources":               {`,"Resource":"*"`, ``, `^Policy statement must contain resources\.$`, ``},
		"without actions":                 {`"Action":"s3:*",`, ``, `^Policy statement must contain actions\.$`, ``},
		"with a principal":                {`"Action"`, `"Principal":"*","Action"`, `^Policy document should not specify a principal\.$`, ``},
		"with an unknown element":         {`"Action"`, `"Actions":"*","Action"`, `^Syntax errors in policy\.$`, `Actions`},
		"without a statement":             {`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`, `[]`, `^Syntax errors in policy\.$`, `no Statement`},
		"with an effect that is none":     {`Allow`, `allow`, `^Syntax errors in policy\.$`, `"allow" is neither`},
		"with an action in lower case":    {`"Action"`, `"action"`, `^Policy statement must contain actions\.$`, ``},
		"with two effects":                {`"Effect"`, `"Effect":"Deny","Effect"`, `^Syntax errors in policy\.$`, `Effect`},
		"with an action that is a number": {`"s3:*"`, `5`, `^Syntax errors in policy\.$`, `number`},
		"with an empty array of actions":  {`"s3:*"`, `[]`, `^Syntax errors in policy\.$`, `empty`},
		"with a resource that is null":    {`"Resource":"*"`, `"Resource":null`, `^Syntax errors in policy\.$`, `empty`},
		"with an action of no service":    {`"s3:*"`, `["s3:*","GetObject"]`, `^Actions/Conditions must be prefaced by a vendor, e\.g\., iam, sdb, ec2, etc\.$`, `GetObject`},
		"with the name of a resource":     {`"Resource":"*"`, `"Resource":["arn:aws:s3:::a/*","b/*"]`, `^Resource b/\* must be in ARN format or "\*"\.$`, ``},
		"with a list of conditions":       {`"Action"`, `"Condition":[],"Action"`, `^Syntax errors in policy\.$`, `array`},
	} {
		out["a session policy "+name] = webIdentityRejection{
			change: func(in *sts.AssumeRoleWithWebIdentityInput) {
				in.Policy = aws.String(strings.Replace(sessionPolicy, c.old, c.new, 1))
			},
			code:    "MalformedPolicyDocument",
			status:  400,
			message: c.message,
			reason:  c.reason,
			as:      new(types.MalformedPolicyDocumentException),
		}
	}
	for _, arn := range []string{"arn:aws:iam::444455556666:policy/read", "arn:aws-cn:iam::aws:policy/ReadOnlyAccess"} {
		out["the managed policy "+arn] = webIdentityRejection{
			change: func(in *sts.AssumeRoleWithWebIdentityInput) {
				in.PolicyArns = []types.PolicyDescriptorType{{Arn: aws.String(arn)}}
			},
			code:    "ValidationError",
			status:  400,
			message: `^ARN ` + arn + ` is not valid\.$`,
			reason:  `^the role is in the account 111122223333 of the partition aws$`,
		}
	}
	return out
}
