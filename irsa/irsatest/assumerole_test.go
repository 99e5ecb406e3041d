package irsatest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// signed returns an AWS SDK client with credentials for the pod's role.
func (w *world) signed(optFns ...func(*sts.Options)) *sts.Client {
	unsigned := w.client()
	provider := stscreds.NewWebIdentityRoleProvider(unsigned, w.pod.RoleARN(), stscreds.IdentityTokenFile(w.pod.TokenFile()),
		func(o *stscreds.WebIdentityRoleOptions) { o.RoleSessionName = "cart" })
	o := unsigned.Options()
	o.Credentials = provider
	return sts.New(o, optFns...)
}

// assumeRole assumes a role with the pod's session.
func (w *world) assumeRole(ctx context.Context, role *irsatest.Role, change ...func(*sts.AssumeRoleInput)) (*sts.AssumeRoleOutput, error) {
	in := &sts.AssumeRoleInput{RoleArn: aws.String(role.ARN()), RoleSessionName: aws.String("second")}
	for _, fn := range change {
		fn(in)
	}
	return w.signed().AssumeRole(ctx, in)
}

func TestSTSGetCallerIdentity(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		out, err := w.signed().GetCallerIdentity(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, "arn:aws:sts::111122223333:assumed-role/s3-writer/cart", *out.Arn)
		assert.Equal(t, "111122223333", *out.Account)
		assert.Regexp(t, `^AROA[A-Z2-7]{17}:cart$`, *out.UserId)

		calls := w.STS.Calls()
		assert.Equal(t, "GetCallerIdentity", calls[1].Action)
		assert.Equal(t, *out.Arn, calls[1].Caller)
		assert.Empty(t, calls[0].Caller, "AssumeRoleWithWebIdentity is unsigned")
	})
}

func TestSTSAssumeRoleRejectsMFADevice(t *testing.T) {
	w := inMemory(t)
	role := w.Role("auditor", irsatest.Trust(w.role))
	for _, in := range []sts.AssumeRoleInput{
		{SerialNumber: aws.String("arn:aws:iam::111122223333:mfa/alice"), TokenCode: aws.String("123456")},
		{SerialNumber: aws.String("GAHT12345678")}, {TokenCode: aws.String("123456")},
	} {
		_, err := w.assumeRole(t.Context(), role, func(i *sts.AssumeRoleInput) { i.SerialNumber, i.TokenCode = in.SerialNumber, in.TokenCode })
		assert.Contains(t, requireRejection(t, err, "AccessDenied", 403), "MultiFactorAuthentication failed")
		assert.Equal(t, "the caller is a role, and only users have MFA devices", w.STS.Calls()[w.STS.CallCount()-1].Reason)
	}
}

func TestSTSAssumeRoleAcrossAccountsWithExternalID(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		other := w.Role("auditor", irsatest.InAccount("444455556666"), irsatest.TrustPolicy(`{
			"Version": "2012-10-17",
			"Statement": {
				"Effect": "Allow",
				"Principal": {"AWS": "arn:aws:iam::111122223333:root"},
				"Action": "sts:AssumeRole",
				"Condition": {"StringEquals": {"sts:ExternalId": "12345"}}
			}
		}`))
		_, err := w.assumeRole(t.Context(), other)
		message := requireRejection(t, err, "AccessDenied", 403)
		assert.Equal(t, "User: arn:aws:sts::111122223333:assumed-role/s3-writer/cart is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::444455556666:role/auditor", message)
		calls := w.STS.Calls()
		assert.Regexp(t, `sts:ExternalId.*12345`, calls[len(calls)-1].Reason)

		out, err := w.assumeRole(t.Context(), other, func(in *sts.AssumeRoleInput) { in.ExternalId = aws.String("12345") })
		require.NoError(t, err)
		assert.Equal(t, "arn:aws:sts::444455556666:assumed-role/auditor/second", *out.AssumedRoleUser.Arn)

		chain := stscreds.NewAssumeRoleProvider(w.signed(), other.ARN(), func(o *stscreds.AssumeRoleOptions) { o.ExternalID = aws.String("12345") })
		identity, err := w.signed(func(o *sts.Options) { o.Credentials = chain }).GetCallerIdentity(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, "444455556666", *identity.Account)
	})
}

func TestSTSRejectsAssumeRoleUntilRepaired(t *testing.T) {
	tag := []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}}
	replace := func(old, with string) func(*irsatest.Role) {
		return func(r *irsatest.Role) { r.SetTrustPolicy(strings.Replace(r.TrustPolicy(), old, with, 1)) }
	}
	cases := map[string]struct {
		setup   func(*irsatest.Role)
		change  func(*sts.AssumeRoleInput)
		repair  func(*irsatest.Role)       // nil if only change is wrong
		retry   func(*sts.AssumeRoleInput) // the part of change to send after repair
		code    string
		status  int
		message string
		reason  string
	}{
		"another role is trusted": {
			setup:   replace("role/s3-writer", "role/s3-reader"),
			repair:  replace("role/s3-reader", "role/s3-writer"),
			code:    "AccessDenied",
			status:  403,
			message: `is not authorized to perform: sts:AssumeRole on resource: `,
			reason:  `Principal`,
		},
		"another action is allowed": {
			setup:   replace(`"sts:AssumeRole"`, `"sts:AssumeRoleWithWebIdentity"`),
			repair:  replace(`"sts:AssumeRoleWithWebIdentity"`, `"sts:Assume*"`),
			code:    "AccessDenied",
			status:  403,
			message: `sts:AssumeRole on`,
			reason:  `Action`,
		},
		"a statement denies it": {
			setup:   replace(`"Statement": [`, `"Statement": [{"Sid": "No", "Effect": "Deny", "Principal": "*", "Action": "sts:*"},`),
			repair:  replace(`{"Sid": "No", "Effect": "Deny", "Principal": "*", "Action": "sts:*"},`, ``),
			code:    "AccessDenied",
			status:  403,
			message: `sts:AssumeRole on`,
			reason:  `denied by statement 1 \(No\)`,
		},
		"tags need sts:TagSession": {
			change:  func(in *sts.AssumeRoleInput) { in.Tags = tag },
			repair:  replace(`"sts:AssumeRole"`, `["sts:AssumeRole", "sts:TagSession"]`),
			retry:   func(in *sts.AssumeRoleInput) { in.Tags = tag },
			code:    "AccessDenied",
			status:  403,
			message: `sts:TagSession on`,
		},
		"a source identity needs sts:SetSourceIdentity": {
			change:  func(in *sts.AssumeRoleInput) { in.SourceIdentity = aws.String("alice") },
			repair:  replace(`"sts:AssumeRole"`, `["sts:AssumeRole", "sts:SetSourceIdentity"]`),
			retry:   func(in *sts.AssumeRoleInput) { in.SourceIdentity = aws.String("alice") },
			code:    "AccessDenied",
			status:  403,
			message: `sts:SetSourceIdentity on`,
		},
		"a role chain over an hour": {
			change:  func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(3601) },
			code:    "ValidationError",
			status:  400,
			message: `^The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining\.$`,
		},
		"an external ID with a space": {
			change:  func(in *sts.AssumeRoleInput) { in.ExternalId = aws.String("a b") },
			code:    "ValidationError",
			status:  400,
			message: `'externalId' failed to satisfy constraint`,
		},
		"a source identity of one character": {
			change:  func(in *sts.AssumeRoleInput) { in.SourceIdentity = aws.String("a") },
			code:    "ValidationError",
			status:  400,
			message: `'sourceIdentity' .* greater than or equal to 2$`,
		},
		"fifty-one tags": {
			change: func(in *sts.AssumeRoleInput) {
				for n := range 51 {
					in.Tags = append(in.Tags, types.Tag{Key: aws.String(fmt.Sprintf("key-%d", n)), Value: aws.String("")})
				}
			},
			code:    "ValidationError",
			status:  400,
			message: `'tags' .* less than or equal to 50$`,
		},
		"eleven policies": {
			change: func(in *sts.AssumeRoleInput) {
				for range 11 {
					in.PolicyArns = append(in.PolicyArns, types.PolicyDescriptorType{Arn: aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess")})
				}
			},
			code:    "ValidationError",
			status:  400,
			message: `'policyArns' .* less than or equal to 10$`,
		},
		"tags and a policy that are too large together": {
			change: func(in *sts.AssumeRoleInput) {
				in.Policy = aws.String(fmt.Sprintf("%-2048s", sessionPolicy))
				in.Tags = tag
			},
			code:    "PackedPolicyTooLarge",
			status:  400,
			message: `please use smaller policy`,
		},
		"a duration within the role's maximum but over an hour": {
			change:  func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(7200) },
			code:    "ValidationError",
			status:  400,
			message: `1 hour session limit`,
		},
		"a transitive tag that is not set": {
			change:  func(in *sts.AssumeRoleInput) { in.TransitiveTagKeys = []string{"team"} },
			code:    "ValidationError",
			status:  400,
			message: `transitive tag key`,
		},
		"a role that does not exist": {
			change:  func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("arn:aws:iam::444455556666:role/nobody") },
			code:    "AccessDenied",
			status:  403,
			message: `role/nobody$`,
			reason:  `there is no role`,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := inMemory(t)
				role := w.Role("auditor", irsatest.InAccount("444455556666"), irsatest.MaxSessionDuration(2*time.Hour), irsatest.Trust(w.role))
				if c.setup != nil {
					c.setup(role)
				}
				if c.change == nil {
					c.change = func(*sts.AssumeRoleInput) {}
				}
				_, err := w.assumeRole(t.Context(), role, c.change)
				assert.Regexp(t, c.message, requireRejection(t, err, c.code, c.status))
				calls := w.STS.Calls()
				assert.Regexp(t, c.reason, calls[len(calls)-1].Reason)

				if c.repair != nil {
					c.repair(role)
				}
				if c.retry == nil {
					c.retry = func(*sts.AssumeRoleInput) {}
				}
				_, err = w.assumeRole(t.Context(), role, c.retry)
				require.NoError(t, err, "the cause is repaired")
			})
		})
	}
}
