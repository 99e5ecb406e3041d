package irsatest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestDeniedReturnsAWSTexts(t *testing.T) {
	for _, tt := range []struct{ action, policy, ending string }{
		{"sts:AssumeRole", "", ""},
		{"sts:TagSession", "", ""},
		{"sts:AssumeRole", "no identity-based policy", " because no identity-based policy allows the sts:AssumeRole action"},
		{"sts:TagSession", "no resource-based policy", " because no resource-based policy allows the sts:TagSession action"},
		{"sts:SetSourceIdentity", "no session policy", " because no session policy allows the sts:SetSourceIdentity action"},
		{"sts:AssumeRole", "no VPC endpoint policy", " because no VPC endpoint policy allows the sts:AssumeRole action"},
		{"sts:AssumeRole", "no permissions boundary", " because no permissions boundary allows the sts:AssumeRole action"},
		{"sts:AssumeRole", "no service control policy", " because no service control policy allows the sts:AssumeRole action"},
		{"sts:AssumeRole", "no role trust policy", " because no role trust policy allows the sts:AssumeRole action"},
		{"sts:AssumeRole", "an explicit deny in an identity-based policy", " with an explicit deny in an identity-based policy"},
		{"sts:AssumeRole", "an explicit deny in a service control policy", " with an explicit deny in a service control policy"},
		{"sts:AssumeRole", "an explicit deny in a service control policy: arn:aws:organizations::999988887777:policy/o-1/service_control_policy/p-1", " with an explicit deny in a service control policy: arn:aws:organizations::999988887777:policy/o-1/service_control_policy/p-1"},
		{"sts:TagSession", "an explicit deny in a resource control policy", " with an explicit deny in a resource control policy"},
		{"sts:AssumeRole", "an explicit deny in the role trust policy", " with an explicit deny in the role trust policy"},
	} {
		t.Run(tt.action+tt.ending, func(t *testing.T) {
			w := inMemory(t)
			role := w.Role("auditor", irsatest.Trust(w.role))
			role.Fail(irsatest.Denied(tt.action, tt.policy), 1)
			_, err := w.assumeRole(t.Context(), role)
			assert.Equal(t, "User: arn:aws:sts::111122223333:assumed-role/s3-writer/cart is not authorized to perform: "+tt.action+
				" on resource: arn:aws:iam::111122223333:role/auditor"+tt.ending, requireRejection(t, err, "AccessDenied", 403))
			_, err = w.assumeRole(t.Context(), role)
			require.NoError(t, err)
		})
	}
}

func TestDeniedForWebIdentity(t *testing.T) {
	w := inMemory(t)
	w.STS.Fail(irsatest.Denied("sts:AssumeRoleWithWebIdentity", "no VPC endpoint policy"), 1)
	_, err := w.assume(t.Context())
	assert.Equal(t, "Not authorized to perform sts:AssumeRoleWithWebIdentity because no VPC endpoint policy allows the sts:AssumeRoleWithWebIdentity action",
		requireRejection(t, err, "AccessDenied", 403))
}

func TestDeniedRejectsUnknownActionsAndPolicies(t *testing.T) {
	w := onLoopback(t)
	for _, f := range []irsatest.Fault{
		irsatest.Denied("s3:GetObject", ""), irsatest.Denied("", ""), irsatest.Denied("sts:AssumeRole", "no bucket policy"),
		irsatest.Denied("sts:AssumeRole", "session policy"), irsatest.Denied("sts:AssumeRole", "an explicit deny in a bucket policy"),
		irsatest.Denied("sts:AssumeRole", "an explicit deny in a session policy: p-1"),
		"AccessDenied sts:AssumeRole because no session policy allows the sts:TagSession action",
	} {
		assert.PanicsWithError(t, fmt.Sprintf("irsatest: %q is not a Fault of this package", string(f)), func() { w.STS.Fail(f, 1) })
	}
}

// chained returns a client with the session issued by an AssumeRole call.
func (w *world) chained(out *sts.AssumeRoleOutput) *sts.Client {
	return w.signed(func(o *sts.Options) {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: *out.Credentials.SecretAccessKey, SessionToken: *out.Credentials.SessionToken}, nil
		})
	})
}

func TestSTSRoleChainNeedsPermissionForInheritedTagsAndSourceIdentity(t *testing.T) {
	w := inMemory(t)
	all := func(by *irsatest.Role) irsatest.RoleOption {
		return irsatest.TrustPolicy(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": "` + by.ARN() + `"}, "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]}}`)
	}
	second := w.Role("second", all(w.role))
	third := w.Role("third", irsatest.Trust(second)) // allows only sts:AssumeRole
	for action, change := range map[string]func(*sts.AssumeRoleInput){
		"sts:TagSession": func(in *sts.AssumeRoleInput) {
			in.Tags, in.TransitiveTagKeys = []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}}, []string{"team"}
		},
		"sts:SetSourceIdentity": func(in *sts.AssumeRoleInput) { in.SourceIdentity = aws.String("alice") },
	} {
		out, err := w.assumeRole(t.Context(), second, change)
		require.NoError(t, err)
		_, err = w.chained(out).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(third.ARN()), RoleSessionName: aws.String("third")})
		assert.Equal(t, "User: arn:aws:sts::111122223333:assumed-role/second/second is not authorized to perform: "+action+
			" on resource: arn:aws:iam::111122223333:role/third", requireRejection(t, err, "AccessDenied", 403))
	}
}

func TestSTSNamesExplicitDenyInTrustPolicy(t *testing.T) {
	const deny = `"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "sts:*"},`
	w := inMemory(t)
	for account, ending := range map[string]string{"111122223333": " with an explicit deny in the role trust policy", "444455556666": ""} {
		role := w.Role("auditor", irsatest.InAccount(account), irsatest.Trust(w.role))
		role.SetTrustPolicy(strings.Replace(role.TrustPolicy(), `"Statement": [`, deny, 1))
		_, err := w.assumeRole(t.Context(), role)
		assert.Equal(t, "User: arn:aws:sts::111122223333:assumed-role/s3-writer/cart is not authorized to perform: sts:AssumeRole on resource: "+
			role.ARN()+ending, requireRejection(t, err, "AccessDenied", 403))
	}
}

func TestSTSRejectsOversizedTags(t *testing.T) {
	w := inMemory(t)
	anything := func(by *irsatest.Role) irsatest.RoleOption {
		return irsatest.TrustPolicy(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": "` + by.ARN() + `"}, "Action": "sts:*"}}`)
	}
	second := w.Role("second", anything(w.role))
	third := w.Role("third", anything(second))
	tags := func(first, n int) []types.Tag {
		var out []types.Tag
		for i := range n {
			out = append(out, types.Tag{Key: aws.String(fmt.Sprintf("key-%02d", first+i)), Value: aws.String(strings.Repeat("v", 250))})
		}
		return out
	}
	_, err := w.assumeRole(t.Context(), second, func(in *sts.AssumeRoleInput) { in.Tags = tags(0, 9) })
	assert.Equal(t, "Packed size of session tags consumes 113% of allotted space.", requireRejection(t, err, "PackedPolicyTooLarge", 400))

	out, err := w.assumeRole(t.Context(), second, func(in *sts.AssumeRoleInput) {
		in.Tags = tags(0, 5)
		in.TransitiveTagKeys = []string{"key-00", "key-01", "key-02", "key-03", "key-04"}
	})
	require.NoError(t, err)
	in := &sts.AssumeRoleInput{RoleArn: aws.String(third.ARN()), RoleSessionName: aws.String("third"), Tags: tags(5, 4)}
	_, err = w.chained(out).AssumeRole(t.Context(), in)
	assert.Equal(t, "Packed size of session tags consumes 113% of allotted space.", requireRejection(t, err, "PackedPolicyTooLarge", 400), "inherited tags count")
	in.Tags = tags(5, 2)
	last, err := w.chained(out).AssumeRole(t.Context(), in)
	require.NoError(t, err)
	assert.Equal(t, int32(88), *last.PackedPolicySize)
}
