package irsatest_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// transitive is a trust policy that requires the source identity and tags passed on in a role chain.
const transitive = `{
	"Version": "2012-10-17",
	"Statement": {
		"Effect": "Allow",
		"Principal": {"AWS": "arn:aws:iam::111122223333:role/second"},
		"Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
		"Condition": {
			"StringEquals": {
				"sts:SourceIdentity": "alice",
				"aws:SourceIdentity": "alice",
				"aws:RequestTag/team": "shop",
				"aws:PrincipalTag/team": "shop",
				"aws:PrincipalAccount": "111122223333"
			},
			"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]},
			"Null": {"aws:PrincipalTag/color": "false", "aws:RequestTag/color": "true"}
		}
	}
}`

func TestSTSRoleChainPassesSourceIdentityAndTags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		second := w.Role("second", irsatest.TrustPolicy(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": "`+w.role.ARN()+`"}, "Action": "sts:*"}}`))
		third := w.Role("third", irsatest.TrustPolicy(transitive))
		out, err := w.assumeRole(t.Context(), second, func(in *sts.AssumeRoleInput) {
			in.SourceIdentity = aws.String("alice")
			in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}, {Key: aws.String("color"), Value: aws.String("red")}}
			in.TransitiveTagKeys = []string{"team"}
		})
		require.NoError(t, err)
		assert.Equal(t, "alice", *out.SourceIdentity)

		next := w.signed(func(o *sts.Options) {
			o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: *out.Credentials.SecretAccessKey, SessionToken: *out.Credentials.SessionToken}, nil
			})
		})
		in := &sts.AssumeRoleInput{RoleArn: aws.String(third.ARN()), RoleSessionName: aws.String("third")}
		last, err := next.AssumeRole(t.Context(), in)
		require.NoError(t, err)
		assert.Equal(t, "alice", *last.SourceIdentity)

		in.SourceIdentity = aws.String("mallory")
		_, err = next.AssumeRole(t.Context(), in)
		assert.Contains(t, requireRejection(t, err, "AccessDenied", 403), "sts:SetSourceIdentity")
		in.SourceIdentity = nil
		for _, key := range []string{"team", "Team", "TEAM"} { // keys of tags are not case-sensitive
			in.Tags = []types.Tag{{Key: aws.String(key), Value: aws.String("other")}}
			_, err = next.AssumeRole(t.Context(), in)
			assert.Contains(t, requireRejection(t, err, "ValidationError", 400), "conflicts with a transitive tag key", key)
		}
		in.Tags, in.TransitiveTagKeys = nil, []string{"team"}
		_, err = next.AssumeRole(t.Context(), in)
		assert.Contains(t, requireRejection(t, err, "ValidationError", 400), "must be included in the requested tags")
	})
}

func TestSTSSessionUsesTagsAndSourceIdentityFromToken(t *testing.T) {
	for name, claims := range map[string]map[string]any{
		"nested": {tagsClaim: map[string]any{
			"principal_tags":      map[string]any{"team": []string{"shop"}, "color": []string{"red"}},
			"transitive_tag_keys": []string{"team"},
		}},
		"nested and flattened": {
			tagsClaim: map[string]any{
				"principal_tags":      map[string]any{"team": []string{"shop"}, "color": []string{"red"}},
				"transitive_tag_keys": []string{"team"},
			},
			tagsClaim + "/principal_tags/team": "shop",
			tagsClaim + "/transitive_tag_keys": []string{"team"},
		},
		"flattened": {
			tagsClaim + "/principal_tags/team":  "shop",
			tagsClaim + "/principal_tags/color": "red",
			tagsClaim + "/transitive_tag_keys":  []string{"team"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := inMemory(t)
				w.role.SetTrustPolicy(strings.Replace(w.role.TrustPolicy(), `"sts:AssumeRoleWithWebIdentity"`, `"sts:*"`, 1))
				claims["https://aws.amazon.com/source_identity"] = "alice"
				w.pod.Rotate(func(o *irsatest.TokenOptions) { o.Claims = claims })
				out, err := w.assume(t.Context())
				require.NoError(t, err)
				assert.Equal(t, "alice", *out.SourceIdentity)

				second := w.Role("second", irsatest.TrustPolicy(strings.Replace(transitive, "role/second", "role/s3-writer", 1)))
				_, err = w.assumeRole(t.Context(), second)
				require.NoError(t, err)
			})
		})
	}
}
